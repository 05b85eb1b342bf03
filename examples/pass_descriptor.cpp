/// One fiber opens a file, another reads it: the descriptor goes through a Unix domain socket, as it would between two processes
/// of which only one may open files. The one who asks is known by its credentials.

#include <coir/descriptor.hpp>
#include <coir/fiber.hpp>
#include <coir/run.hpp>
#include <coir/serve.hpp>
#include <coir/unix_stream.hpp>

#include <array>
#include <chrono>
#include <cstddef>
#include <exception>
#include <fcntl.h>
#include <iostream>
#include <span>
#include <stdexcept>
#include <string>
#include <unistd.h>

using namespace std::chrono_literals;
using coir::net::unix_endpoint;
using coir::net::unix_stream;

namespace {

/// Sends the file that the peer names, if it may have it.
void open_for(unix_stream peer) {
    std::array<char, 1000> name;
    const std::size_t size = peer.read_some(std::as_writable_bytes(std::span{name}), 5s);
    if (peer.credentials().user != ::geteuid())
        return; // not for others: closing says so
    const coir::io::descriptor file{::open(std::string(name.data(), size).c_str(), O_RDONLY | O_CLOEXEC)};
    peer.write_with(std::as_bytes(std::span{"here", 4}), std::array{file.get()}, 5s);
}

std::string first_line_of(const std::string& path, const unix_endpoint& opener) {
    unix_stream stream{opener, 5s};
    stream.write_all(std::as_bytes(std::span{path}), 5s);
    std::array<std::byte, 10> text;
    std::array<coir::io::descriptor, 1> file;
    const coir::net::received_message got = stream.read_with(text, file, 5s);
    if (got.descriptors != 1)
        throw std::runtime_error{"did not get the file"};
    std::string content(1000, '\0');
    content.resize(file[0].read_some(std::as_writable_bytes(std::span{content})));
    return content.substr(0, content.find('\n'));
}

} // namespace

int main() try {
    const std::string line = coir::run([] {
        const auto where = unix_endpoint::abstract("coir-example-" + std::to_string(::getpid()));
        coir::net::unix_listener listener{where};
        const coir::fiber<void> opener = coir::spawn([&listener] { coir::net::serve(listener, open_for); });
        return first_line_of("/proc/self/status", where);
    });
    std::cout << "the other fiber's file begins with: " << line << '\n';
    return line.starts_with("Name:") ? 0 : 1;
} catch (const std::exception& error) {
    std::cerr << "pass_descriptor: " << error.what() << '\n';
    return 1;
}
