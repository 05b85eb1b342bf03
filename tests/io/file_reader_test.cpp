// io::file_reader: files for those who read streams, by io_uring and by threads.
#include <coir/file_reader.hpp>

#include "files.hpp"

#include <coir/buffered_reader.hpp>
#include <coir/copy.hpp>
#include <coir/fiber.hpp>
#include <coir/pipe.hpp>
#include <coir/run.hpp>
#include <coir/stream.hpp>

#include <array>
#include <cstddef>
#include <string>
#include <system_error>
#include <type_traits>
#include <vector>

namespace coir::test {
namespace {

using namespace std::chrono_literals;
using io::buffered_reader;
using io::file;
using io::file_reader;

// No descriptor that copy() could pass it by with.
static_assert(io::readable_stream<file_reader> && !io::enable_kernel_copy<file_reader>);
static_assert(!std::is_constructible_v<file_reader, file>);

using file_readers = files;
COIR_TEST_BY_BOTH(file_readers);

std::string numbers(std::size_t size) {
    std::string made;
    for (int i = 0; made.size() < size; ++i)
        made += std::to_string(i) + '\n';
    return made;
}

TEST_P(file_readers, read_on_where_they_are) {
    fill(path(), "0123456789");
    coir::run([this] {
        file source{path(), io::open_mode::read | io::open_mode::write};
        file_reader first{source};
        file_reader second{source, 7};
        std::array<std::byte, 4> buffer{};
        EXPECT_EQ(first.read_some(buffer), 4U);
        EXPECT_EQ(text_of(buffer), "0123");
        EXPECT_EQ(second.read_some(buffer), 3U);
        EXPECT_EQ(first.read_some(buffer), 4U);
        EXPECT_EQ(text_of(buffer), "4567");
        EXPECT_EQ(second.read_some(buffer), 0U);
        EXPECT_EQ(second.position(), 10U);
        source.write_all_at(bytes_of("more"), 10);
        EXPECT_EQ(second.read_some(buffer), 4U);
        EXPECT_EQ(text_of(buffer), "more");
        EXPECT_EQ(first.read_some({}), 0U);
        first.seek(1);
        EXPECT_EQ(first.read_some(buffer), 4U);
        EXPECT_EQ(text_of(buffer), "1234");
    });
}

TEST_P(file_readers, stay_where_they_are_on_an_error) {
    fill(path(), "0123456789");
    coir::run([this] {
        file source{path()};
        file_reader from{source, 3};
        std::array<std::byte, 4> buffer{};
        source.close();
        EXPECT_EQ(error_of([&](std::error_code& error) { from.read_some(buffer, error); }),
                  std::errc::bad_file_descriptor);
        EXPECT_EQ(thrown_by([&] { from.read_some(buffer); }), std::errc::bad_file_descriptor);
        EXPECT_EQ(from.position(), 3U);
        source = file{path()};
        EXPECT_EQ(from.read_some(buffer), 4U);
        EXPECT_EQ(text_of(buffer), "3456");
    });
}

TEST_P(file_readers, of_lines) {
    const std::string content = numbers(100'000);
    fill(path(), content);
    coir::run([&] {
        const file source{path()};
        file_reader from{source};
        buffered_reader lines{from};
        std::string seen;
        while (const auto line = lines.read_line())
            seen += std::string{*line} + '\n';
        EXPECT_TRUE(seen == content);
    });
}

TEST_P(file_readers, are_copied) {
    const std::string content = numbers(300'000);
    fill(path(), content);
    coir::run([&] {
        const file source{path()};
        file_reader from{source, 100};
        buffered_reader pieces{from, 64 * 1024};
        io::pipe_ends pipe = io::pipe();
        auto copied = spawn([&] {
            const std::size_t size =
                io::copy(pieces, pipe.write, 150'000, 20s) + io::copy(pieces, pipe.write, io::no_limit, 20s);
            pipe.write.close();
            return size;
        });
        std::vector<std::byte> arrived(content.size());
        arrived.resize(pipe.read.read_all(arrived, 20s));
        EXPECT_TRUE(text_of(arrived) == content.substr(100));
        EXPECT_EQ(copied.join(), content.size() - 100);
        EXPECT_EQ(from.position(), content.size());
    });
}

} // namespace
} // namespace coir::test
