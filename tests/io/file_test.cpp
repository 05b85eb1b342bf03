// io::file: every operation, seen by std::filesystem from outside, by io_uring and by threads.
#include <coir/file.hpp>

#include "files.hpp"

#include <coir/fiber.hpp>
#include <coir/run.hpp>
#include <coir/this_fiber.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <fcntl.h>
#include <filesystem>
#include <string>
#include <sys/stat.h>
#include <system_error>
#include <utility>
#include <vector>

namespace coir::test {
namespace {

using io::file;
using io::open_mode;
namespace fs = std::filesystem;

constexpr open_mode fresh = open_mode::read | open_mode::write | open_mode::create | open_mode::exclusive;

using file_operations = files;
COIR_TEST_BY_BOTH(file_operations);

TEST_P(file_operations, are_those_asked_for) {
    coir::run([] { EXPECT_EQ(io::files_use_io_uring(), !by_threads()); });
}

TEST_P(file_operations, what_is_written_is_there) {
    coir::run([this] {
        file made{path(), fresh};
        EXPECT_TRUE(made);
        EXPECT_EQ(made.path(), path());
        EXPECT_EQ(made.write_all_at(bytes_of("hello, file"), 0), 11U);
        EXPECT_EQ(made.write_at(bytes_of("there"), 7), 5U);
        EXPECT_EQ(contents_of(path()), "hello, there");
        std::array<std::byte, 5> buffer{};
        EXPECT_EQ(made.read_all_at(buffer, 7), 5U);
        EXPECT_EQ(text_of(buffer), "there");
        EXPECT_EQ(made.read_at(buffer, 0), 5U);
        EXPECT_EQ(text_of(buffer), "hello");
        EXPECT_EQ(made.size(), fs::file_size(path()));
        made.sync();
        made.sync_data();
        made.close();
        EXPECT_FALSE(made);
        EXPECT_EQ(made.native_handle(), -1);
        made.close();
    });
}

TEST_P(file_operations, status_says_what_the_system_says) {
    const mode_t mask = ::umask(027);
    coir::run([this] {
        file made{path(), fresh, fs::perms{0666}};
        made.write_all_at(bytes_of("12345"), 0);
        fs::create_hard_link(path(), path("second"));
        struct stat expected {};
        ASSERT_EQ(::stat(path().c_str(), &expected), 0);
        const io::file_status status = made.status();
        EXPECT_EQ(status.type, fs::file_type::regular);
        EXPECT_EQ(status.permissions, fs::perms{0640});
        EXPECT_EQ(status.size, 5U);
        EXPECT_EQ(status.links, 2U);
        EXPECT_EQ(status.inode, expected.st_ino);
        EXPECT_EQ(status.device, expected.st_dev);
        EXPECT_EQ(status.owner, expected.st_uid);
        EXPECT_EQ(status.group, expected.st_gid);
        EXPECT_EQ(status.allocated, static_cast<std::uint64_t>(expected.st_blocks) * 512);
        const auto modified =
            std::chrono::seconds{expected.st_mtim.tv_sec} + std::chrono::nanoseconds{expected.st_mtim.tv_nsec};
        EXPECT_EQ(status.modified.time_since_epoch(), modified);
        EXPECT_EQ(io::file{path("second")}.status().inode, status.inode);
    });
    ::umask(mask);
}

TEST_P(file_operations, opening_obeys_the_mode) {
    fill(path(), "contents");
    coir::run([this] {
        const auto error_of_opening = [this](std::string_view name, open_mode mode) {
            return error_of([&](std::error_code& error) { EXPECT_FALSE(file::open(path(name), mode, error)); });
        };
        EXPECT_EQ(error_of_opening("none", open_mode::read), std::errc::no_such_file_or_directory);
        EXPECT_EQ(error_of_opening("file", fresh), std::errc::file_exists);
        EXPECT_EQ(error_of_opening("file/below", open_mode::read), std::errc::not_a_directory);
        EXPECT_EQ(error_of_opening(".", open_mode::write), std::errc::is_a_directory);
        fs::create_symlink("circle", path("circle"));
        EXPECT_EQ(error_of_opening("circle", open_mode::read), std::errc::too_many_symbolic_link_levels);
        for (const open_mode senseless : {open_mode{}, open_mode::create, open_mode::read | open_mode::exclusive,
                                          open_mode::read | open_mode::truncate})
            EXPECT_EQ(error_of_opening("file", senseless), std::errc::invalid_argument);

        file reader{path()};
        EXPECT_EQ(thrown_by([&] { reader.write_at(bytes_of("x"), 0); }), std::errc::bad_file_descriptor);
        file writer{path(), open_mode::write};
        std::array<std::byte, 4> buffer{};
        EXPECT_EQ(thrown_by([&] { writer.read_at(buffer, 0); }), std::errc::bad_file_descriptor);
        EXPECT_EQ(contents_of(path()), "contents");
        EXPECT_TRUE((file{path(), open_mode::write | open_mode::truncate}));
        EXPECT_EQ(contents_of(path()), "");
        EXPECT_EQ(thrown_by([&] { file{path(".")}.read_at(buffer, 0); }), std::errc::is_a_directory);
    });
}

TEST_P(file_operations, descriptors_are_closed_on_exec_and_in_blocking_mode) {
    coir::run([this] {
        const file made{path(), fresh};
        EXPECT_EQ(::fcntl(made.native_handle(), F_GETFD), FD_CLOEXEC);
        EXPECT_EQ(::fcntl(made.native_handle(), F_GETFL) & (O_NONBLOCK | O_ACCMODE), O_RDWR);
    });
}

TEST_P(file_operations, errors_name_the_operation_and_the_path) {
    fill(path(), "");
    coir::run([this] {
        try {
            file{path("missing")};
            ADD_FAILURE();
        } catch (const fs::filesystem_error& error) {
            EXPECT_EQ(error.path1(), path("missing"));
            EXPECT_NE(std::string_view{error.what()}.find("io::file::open"), std::string_view::npos) << error.what();
        }
        try {
            file{path()}.write_all_at(bytes_of("text"), 0);
            ADD_FAILURE();
        } catch (const io::transfer_error& error) {
            const std::string_view text = error.what();
            EXPECT_NE(text.find("io::file::write_all_at"), std::string_view::npos) << text;
            EXPECT_NE(text.find(path().string()), std::string_view::npos) << text;
            EXPECT_EQ(error.bytes_transferred(), 0U);
        }
        try {
            file{path()}.truncate(5);
            ADD_FAILURE();
        } catch (const fs::filesystem_error& error) {
            EXPECT_EQ(error.path1(), path());
            EXPECT_EQ(error.code(), std::errc::invalid_argument);
        }
    });
}

TEST_P(file_operations, the_end_of_the_file) {
    fill(path(), "0123456789");
    coir::run([this] {
        const file opened{path()};
        std::array<std::byte, 8> buffer{};
        EXPECT_EQ(opened.read_at(buffer, 10), 0U);
        EXPECT_EQ(opened.read_at(buffer, 1'000'000), 0U);
        EXPECT_EQ(opened.read_all_at(buffer, 6), 4U);
        EXPECT_EQ(text_of(std::span{buffer}.first(4)), "6789");
        EXPECT_EQ(opened.read_at({}, 0), 0U);
        EXPECT_EQ(opened.read_all_at({}, 0), 0U);
    });
}

TEST_P(file_operations, far_offsets_and_holes) {
    constexpr std::uint64_t far = 5ULL << 30U;
    coir::run([this] {
        file made{path(), fresh};
        EXPECT_EQ(made.write_all_at(bytes_of("far away"), far), 8U);
        EXPECT_EQ(made.size(), far + 8);
        EXPECT_EQ(fs::file_size(path()), far + 8);
        EXPECT_LT(made.status().allocated, 1U << 20U);
        std::array<std::byte, 8> buffer{};
        EXPECT_EQ(made.read_all_at(buffer, far), 8U);
        EXPECT_EQ(text_of(buffer), "far away");
        EXPECT_EQ(made.read_all_at(buffer, far / 2), 8U);
        EXPECT_EQ(text_of(buffer), std::string(8, '\0'));
        constexpr std::uint64_t too_far = 1ULL << 63U;
        EXPECT_EQ(thrown_by([&] { made.write_at(bytes_of("x"), too_far); }), std::errc::invalid_argument);
        EXPECT_EQ(thrown_by([&] { made.read_at(buffer, ~0ULL); }), std::errc::invalid_argument);
        EXPECT_EQ(thrown_by([&] { made.truncate(too_far); }), std::errc::invalid_argument);
        EXPECT_EQ(thrown_by([&] { made.allocate(too_far, 1); }), std::errc::invalid_argument);
        EXPECT_EQ(thrown_by([&] { made.allocate(0, too_far); }), std::errc::invalid_argument);
    });
}

TEST_P(file_operations, large_transfers) {
    const std::string text = pattern(8 << 20U);
    coir::run([&] {
        file made{path(), fresh};
        EXPECT_EQ(made.write_all_at(bytes_of(text), 3), text.size());
        EXPECT_EQ(made.size(), text.size() + 3);
        std::string back(text.size() + 100, '\0');
        EXPECT_EQ(made.read_all_at(std::as_writable_bytes(std::span{back}), 3), text.size());
        back.resize(text.size());
        EXPECT_TRUE(back == text);
        EXPECT_TRUE(contents_of(path()).substr(3) == text);
    });
}

TEST_P(file_operations, pieces_in_order) {
    const std::string text = pattern(10'000);
    coir::run([&] {
        file made{path(), fresh};
        std::vector<io::const_buffer> out;
        for (std::size_t at = 0; at < text.size(); at += 50) {
            out.push_back({text.data() + at, 50});
            out.push_back({nullptr, 0});
        }
        EXPECT_EQ(made.writev_at(out, 7), text.size());
        EXPECT_TRUE(contents_of(path()).substr(7) == text);
        std::string first(9'000, '\0');
        std::string second(2'000, '\0');
        const std::array<io::mutable_buffer, 3> in{
            {{first.data(), first.size()}, {nullptr, 0}, {second.data(), second.size()}}};
        EXPECT_EQ(made.readv_at(in, 7), text.size());
        EXPECT_TRUE(first + second.substr(0, 1'000) == text);
    });
}

TEST_P(file_operations, appends_do_not_mix) {
    static constexpr int writers = 20;
    static constexpr int records = 20;
    static constexpr std::size_t length = 1'000;
    coir::run([this] {
        file log{path(), open_mode::append | open_mode::create};
        std::vector<coir::fiber<void>> all;
        for (int i = 0; i < writers; ++i)
            all.push_back(spawn([&log, i] {
                const std::string record(length, static_cast<char>('a' + i));
                for (int j = 0; j < records; ++j)
                    EXPECT_EQ(log.append(bytes_of(record)), length);
            }));
        for (auto& each : all)
            each.join();
        const std::string text = contents_of(path());
        ASSERT_EQ(text.size(), writers * records * length);
        for (std::size_t at = 0; at < text.size(); at += length)
            ASSERT_EQ(text.substr(at, length), std::string(length, text[at]));
        file other{path(), open_mode::write};
        EXPECT_EQ(thrown_by([&] { other.append(bytes_of("x")); }), std::errc::invalid_argument);
    });
}

TEST_P(file_operations, truncate_and_allocate) {
    coir::run([this] {
        file made{path(), fresh};
        made.write_all_at(bytes_of("0123456789"), 0);
        made.truncate(4);
        EXPECT_EQ(contents_of(path()), "0123");
        made.truncate(6);
        EXPECT_EQ(contents_of(path()), (std::string{"0123\0\0", 6}));
        std::error_code error;
        made.allocate(0, 100'000, error);
        if (error == std::errc::operation_not_supported)
            GTEST_SKIP() << "this file system does not allocate";
        EXPECT_EQ(error, std::error_code{});
        EXPECT_EQ(fs::file_size(path()), 100'000U);
        EXPECT_GE(made.status().allocated, 100'000U);
    });
}

TEST_P(file_operations, a_thousand_fibers_read_one_file) {
    constexpr std::size_t pieces = 1'000;
    constexpr std::size_t length = 3'000;
    const std::string text = pattern(pieces * length);
    fill(path(), text);
    coir::run([&] {
        const file opened{path()};
        // So that not all is in the page cache.
        ::posix_fadvise(opened.native_handle(), 0, 0, POSIX_FADV_DONTNEED);
        std::vector<coir::fiber<void>> all;
        std::size_t good = 0;
        for (std::size_t i = 0; i < pieces; ++i)
            all.push_back(spawn([&, i] {
                std::string buffer(length, '\0');
                EXPECT_EQ(opened.read_all_at(std::as_writable_bytes(std::span{buffer}), i * length), length);
                good += buffer == text.substr(i * length, length) ? 1 : 0;
            }));
        for (auto& each : all)
            each.join();
        EXPECT_EQ(good, pieces);
    });
}

// Beyond the room that a ring has.
TEST_P(file_operations, thousands_at_once_all_end) {
    constexpr std::size_t count = 3'000;
    coir::run([&] {
        file made{path(), fresh};
        std::vector<coir::fiber<void>> all;
        for (std::size_t i = 0; i < count; ++i)
            all.push_back(spawn([&made, i] {
                const auto letter = static_cast<std::byte>('a' + i % 26);
                EXPECT_EQ(made.write_all_at(std::span{&letter, 1}, i), 1U);
            }));
        for (auto& each : all)
            each.join();
        const std::string text = contents_of(path());
        ASSERT_EQ(text.size(), count);
        for (std::size_t i = 0; i < count; ++i)
            ASSERT_EQ(text[i], static_cast<char>('a' + i % 26));
    });
}

TEST_P(file_operations, what_others_have_opened) {
    fill(path(), "text");
    coir::run([this] {
        file adopted = file::adopt(::open(path().c_str(), O_RDWR | O_APPEND | O_CLOEXEC), "the log");
        EXPECT_EQ(adopted.append(bytes_of("+more")), 5U);
        file moved = std::move(adopted);
        EXPECT_FALSE(adopted); // NOLINT(bugprone-use-after-move): that is what is tested
        EXPECT_EQ(moved.path(), "the log");
        EXPECT_EQ(moved.size(), 9U);
    });
    EXPECT_EQ(contents_of(path()), "text+more");
}

TEST_P(file_operations, what_has_no_offsets_cannot_be_read) {
    ASSERT_EQ(::mkfifo(path().c_str(), 0600), 0);
    coir::run([this] {
        const file fifo{path()};
        std::array<std::byte, 4> buffer{};
        EXPECT_EQ(thrown_by([&] { fifo.read_at(buffer, 0); }), std::errc::invalid_seek);
        EXPECT_EQ(fifo.status().type, fs::file_type::fifo);
    });
    coir::run([this] {
        EXPECT_EQ(thrown_by([&] { file{path(), open_mode::write}; }), std::errc::no_such_device_or_address);
    });
}

TEST_P(file_operations, an_object_without_a_file) {
    coir::run([] {
        file none;
        std::array<std::byte, 4> buffer{};
        EXPECT_EQ(thrown_by([&] { none.read_at(buffer, 0); }), std::errc::bad_file_descriptor);
        EXPECT_EQ(thrown_by([&] { none.append(bytes_of("x")); }), std::errc::bad_file_descriptor);
        EXPECT_EQ(thrown_by([&] { none.sync(); }), std::errc::bad_file_descriptor);
        EXPECT_EQ(error_of([&](std::error_code& error) { (void)none.size(error); }), std::errc::bad_file_descriptor);
        EXPECT_EQ(none.path(), fs::path{});
        none.close();
    });
}

TEST_P(file_operations, outside_of_run) {
    file opened;
    coir::run([&] { opened = file{path(), fresh}; });
    std::array<std::byte, 4> buffer{};
    EXPECT_THROW(opened.read_at(buffer, 0), std::logic_error);
    EXPECT_THROW(file{path()}, std::logic_error);
    EXPECT_THROW((void)io::files_use_io_uring(), std::logic_error);
    const auto not_permitted = std::errc::operation_not_permitted;
    EXPECT_EQ(error_of([&](std::error_code& error) { opened.sync(error); }), not_permitted);
    EXPECT_EQ(error_of([&](std::error_code& error) { opened.read_at(buffer, 0, error); }), not_permitted);
    EXPECT_EQ(error_of([&](std::error_code& error) { (void)file::open(path(), open_mode::read, error); }),
              not_permitted);
    opened.close();
}

// A file is not a loop's: it goes on from one to the next.
TEST_P(file_operations, several_loops_use_one_file) {
    file opened;
    coir::run([&] { opened = file{path(), fresh}; });
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i)
        threads.emplace_back([&opened, i] {
            coir::run([&] {
                const std::string text(1'000, static_cast<char>('0' + i));
                for (int j = 0; j < 20; ++j)
                    opened.write_all_at(bytes_of(text), static_cast<std::uint64_t>(i) * 1'000);
            });
        });
    for (std::thread& each : threads)
        each.join();
    opened.close();
    EXPECT_EQ(contents_of(path()), std::string(1'000, '0') + std::string(1'000, '1') + std::string(1'000, '2'));
}

TEST_P(file_operations, reads_that_always_succeed_let_others_run) {
    fill(path(), pattern(4'096));
    coir::run([this] {
        const file opened{path()};
        bool stopped = false;
        auto other = spawn([&] {
            this_fiber::yield();
            stopped = true;
        });
        std::array<std::byte, 4'096> buffer{};
        int reads = 0;
        while (!stopped && reads < 100'000)
            reads += opened.read_at(buffer, 0) != 0 ? 1 : 0;
        EXPECT_TRUE(stopped);
        other.join();
    });
}

} // namespace
} // namespace coir::test
