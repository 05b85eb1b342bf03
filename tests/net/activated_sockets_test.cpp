#include "emulation.hpp"
#include "io/descriptors.hpp"
#include "net/abstract_name.hpp"

#include <coir/coir.hpp>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <string>
#include <vector>

/// Each test makes a child with the descriptors and the variables that systemd would give it. What comes back is the child's
/// exit status: 0, or which expectation has failed.
namespace coir::test {
namespace {

using namespace std::chrono_literals;
using net::activated_sockets;
using net::endpoint;
using net::tcp_listener;
using net::unix_endpoint;
using net::unix_listener;

using activated = descriptors;

int listening_tcp() {
    const int number = ::socket(AF_INET, SOCK_STREAM, 0);
    const endpoint any{"127.0.0.1", 0};
    if (::bind(number, static_cast<const sockaddr*>(any.native()), static_cast<socklen_t>(any.native_size())) != 0 ||
        ::listen(number, 8) != 0)
        ::_exit(100);
    return number;
}

int listening_unix(const unix_endpoint& where) {
    const int number = ::socket(AF_UNIX, SOCK_STREAM, 0);
    if (::bind(number, static_cast<const sockaddr*>(where.native()), static_cast<socklen_t>(where.native_size())) !=
            0 ||
        ::listen(number, 8) != 0)
        ::_exit(101);
    return number;
}

// As the first descriptors after the standard ones, not close-on-exec.
void place(std::vector<int> numbers) {
    for (int& each : numbers) // out of the way first
        each = ::fcntl(each, F_DUPFD, 100);
    ::close_range(3, 99, 0);
    for (std::size_t i = 0; i < numbers.size(); ++i)
        ::dup2(numbers[i], static_cast<int>(3 + i));
    ::close_range(100, ~0U, 0);
}

void announce(const std::string& count, const char* names, pid_t process = ::getpid()) {
    ::setenv("LISTEN_PID", std::to_string(process).c_str(), 1);
    ::setenv("LISTEN_FDS", count.c_str(), 1);
    if (names)
        ::setenv("LISTEN_FDNAMES", names, 1);
}

bool is_environment_clean() {
    return !std::getenv("LISTEN_PID") && !std::getenv("LISTEN_FDS") && !std::getenv("LISTEN_FDNAMES");
}

TEST_F(activated, are_taken_over_by_listeners) {
    EXPECT_EQ(in_child([] {
                  const auto name = abstract_name("activated");
                  place({listening_tcp(), listening_unix(name)});
                  announce("2", "web:control");
                  return coir::run([&]() -> int {
                      auto sockets = activated_sockets();
                      if (sockets.size() != 2 || sockets[0].name != "web" || sockets[1].name != "control")
                          return 1;
                      if (!is_environment_clean())
                          return 2;
                      for (const int number : {3, 4})
                          if (!(::fcntl(number, F_GETFD) & FD_CLOEXEC))
                              return 3;
                      tcp_listener web{std::move(sockets[0].socket)};
                      unix_listener control{std::move(sockets[1].socket)};
                      const net::tcp_stream client{web.local_endpoint(), 5s};
                      const net::unix_stream other{name, 5s};
                      if (!web.accept(5s) || !control.accept(5s))
                          return 4;
                      return activated_sockets().empty() ? 0 : 5; // only once
                  });
              }),
              0);
}

TEST_F(activated, of_another_kind_are_refused) {
    EXPECT_EQ(
        in_child([] {
            place({listening_tcp(), ::socket(AF_INET, SOCK_DGRAM, 0)});
            announce("2", nullptr);
            return coir::run([]() -> int {
                auto sockets = activated_sockets();
                if (sockets[0].name != "unknown")
                    return 1;
                if (thrown_by([&] { unix_listener{std::move(sockets[0].socket)}; }) != std::errc::invalid_argument)
                    return 2;
                if (::fcntl(3, F_GETFD) != -1)
                    return 3; // closed, as the caller gave it away
                return thrown_by([&] { tcp_listener{std::move(sockets[1].socket)}; }) == std::errc::invalid_argument
                           ? 0
                           : 4;
            });
        }),
        0);
}

TEST_F(activated, are_none_when_they_are_another_process_s) {
    EXPECT_EQ(in_child([] {
                  place({listening_tcp()});
                  announce("1", "web", ::getppid());
                  return coir::run([] {
                      if (!activated_sockets().empty() || !is_environment_clean())
                          return 1;
                      return ::fcntl(3, F_GETFD) != -1 ? 0 : 2; // not ours, so it is left alone
                  });
              }),
              0);
    coir::run([] { EXPECT_TRUE(activated_sockets().empty()); });
    EXPECT_THROW((void)activated_sockets(), std::logic_error);
}

TEST_F(activated, numbers_that_make_no_sense_are_errors) {
    EXPECT_EQ(in_child([] {
                  place({listening_tcp()});
                  return coir::run([]() -> int {
                      for (const char* count : {"", "x", "1x", "-1", "99999999999"}) {
                          announce(count, nullptr);
                          if (thrown_by([] { (void)activated_sockets(); }) != std::errc::invalid_argument)
                              return 1;
                      }
                      announce("200", nullptr); // so many are not open
                      if (thrown_by([] { (void)activated_sockets(); }) != std::errc::bad_file_descriptor)
                          return 2;
                      announce("0", nullptr);
                      return activated_sockets().empty() ? 0 : 3;
                  });
              }),
              0);
}

// What a program does that has been handed a socket by a predecessor; run by the test below, as a program.
TEST(successor, DISABLED_serves) {
    coir::run([] {
        auto sockets = activated_sockets();
        ASSERT_EQ(sockets.size(), 1U);
        EXPECT_EQ(sockets[0].name, "web");
        tcp_listener listener{std::move(sockets[0].socket)};
        net::tcp_stream client = listener.accept(20s);
        client.write_all(bytes_of("successor"), 20s);
    });
}

// A restart in which no connection is refused: the listening socket stays open all the time.
TEST_F(activated, are_handed_to_a_successor) {
    if (is_emulated())
        GTEST_SKIP() << "an emulator runs no programs of its own architecture";
    coir::run([] {
        tcp_listener listener{"127.0.0.1", 0};
        const endpoint where = listener.local_endpoint();
        io::process successor{{"/proc/self/exe", "--gtest_filter=successor.*", "--gtest_also_run_disabled_tests"},
                              {.output = io::redirect::null(),
                               .environment = {"LISTEN_FDS=1", "LISTEN_FDNAMES=web"},
                               .descriptors = {{.ours = listener.native_handle(), .theirs = 3}},
                               .id_variable = "LISTEN_PID"}};
        listener.close();
        net::tcp_stream client{where, 20s};
        std::array<std::byte, 20> buffer{};
        EXPECT_EQ(client.read_all(buffer, 20s), 9U);
        EXPECT_EQ(text_of(std::span{buffer}.first(9)), "successor");
        EXPECT_TRUE(successor.wait(20s).success());
    });
}

} // namespace
} // namespace coir::test
