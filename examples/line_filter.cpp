/// Numbers the lines that contain a word, as `grep -n` does: standard input to standard output.
///     line_filter WORD
///     line_filter --self-test       the same, through pipes of its own
/// While a line is awaited other fibers run, and the terminal or pipe stays in the mode in which the others who use it, the
/// shell among them, expect it.

#include <coir/borrowed_descriptor.hpp>
#include <coir/buffered_reader.hpp>
#include <coir/buffered_writer.hpp>
#include <coir/fiber.hpp>
#include <coir/pipe.hpp>
#include <coir/run.hpp>

#include <cstddef>
#include <exception>
#include <iostream>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace {

void filter(coir::io::borrowed_descriptor from, coir::io::borrowed_descriptor to, std::string_view word) {
    coir::io::buffered_reader lines{from, 65536}; // no line may be longer
    coir::io::buffered_writer out{to};
    std::size_t number = 0;
    while (const std::optional<std::string_view> line = lines.read_line()) {
        ++number;
        if (line->find(word) == std::string_view::npos)
            continue;
        out.write_all(std::to_string(number) + ':');
        out.write_all(*line);
        out.write_all("\n");
        if (lines.buffered().empty())
            out.flush(); // nothing more to do at once: somebody may be watching
    }
    out.flush();
}

bool self_test() {
    coir::io::pipe_ends in = coir::io::pipe();
    coir::io::pipe_ends out = coir::io::pipe();
    auto filtering = coir::spawn([&] {
        filter(in.read, out.write, "fiber");
        out.write.close();
    });
    in.write.write_all(std::as_bytes(std::span{std::string_view{"a fiber\na thread\nno fiber"}}));
    in.write.close();
    coir::io::buffered_reader lines{out.read};
    const bool right = lines.read_line() == "1:a fiber" && lines.read_line() == "3:no fiber" && !lines.read_line();
    filtering.join();
    return right;
}

} // namespace

int main(int argc, char** argv) try {
    const std::string_view word = argc == 2 ? argv[1] : "";
    return coir::run([word] {
        if (word == "--self-test")
            return self_test() ? 0 : 1;
        filter(coir::io::standard_input(), coir::io::standard_output(), word);
        return 0;
    });
} catch (const std::exception& failure) { // a line that is too long, a full disk
    std::cerr << "line_filter: " << failure.what() << '\n';
    return 1;
}
