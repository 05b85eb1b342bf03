// Descriptors of which epoll says something else than the call that waits for them.
#include "io/operation.hpp"

#include "io/descriptors.hpp"
#include "io/ev_driver.hpp"

#include <coir/coir.hpp>

#include <array>
#include <cerrno>
#include <chrono>
#include <ctime>
#include <netinet/in.h>
#include <sys/socket.h>
#include <system_error>
#include <unistd.h>

namespace coir::test {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

std::array<std::byte, 16> buffer;

sockaddr_in loopback() {
    sockaddr_in made{};
    made.sin_family = AF_INET;
    made.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return made;
}

sockaddr* address(sockaddr_in& of) {
    return reinterpret_cast<sockaddr*>(&of);
}

raw udp_socket() {
    raw made{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    sockaddr_in any = loopback();
    EXPECT_EQ(::bind(made.get(), address(any), sizeof any), 0);
    return made;
}

sockaddr_in name_of(const raw& socket) {
    sockaddr_in name{};
    socklen_t size = sizeof name;
    EXPECT_EQ(::getsockname(socket.get(), address(name), &size), 0);
    return name;
}

/// A UDP socket in whose error queue something lies that no read takes: until somebody asks for it, epoll says EPOLLERR.
class with_queued_error {
public:
    with_queued_error() {
        const int on = 1;
        EXPECT_EQ(::setsockopt(socket.get(), IPPROTO_IP, IP_RECVERR, &on, sizeof on), 0);
        sockaddr_in nobody = name_of(udp_socket()); // closed again
        EXPECT_EQ(::sendto(socket.get(), "?", 1, 0, address(nobody), sizeof nobody), 1);
        std::error_code refused;
        io::read_some(socket.get(), buffer, refused, 5s);
        EXPECT_EQ(refused, std::errc::connection_refused);
    }
    void receives(const char* letter) {
        EXPECT_EQ(::sendto(peer_.get(), letter, 1, 0, address(name_), sizeof name_), 1);
    }

    raw socket = udp_socket();

private:
    sockaddr_in name_ = name_of(socket);
    raw peer_ = udp_socket();
};

/// The time of the processor that something may take: a loop that never sleeps takes as much as it lasts.
class mostly_asleep {
public:
    mostly_asleep() = default;
    ~mostly_asleep() {
        const std::chrono::duration<double> busy{static_cast<double>(std::clock() - busy_) / CLOCKS_PER_SEC};
        EXPECT_LT(busy, (clock::now() - begin_) / 2);
    }
    mostly_asleep(const mostly_asleep&) = delete;
    mostly_asleep& operator=(const mostly_asleep&) = delete;

private:
    clock::time_point begin_ = clock::now();
    std::clock_t busy_ = std::clock();
};

class perform : public descriptors {};

/// The number that is waited for, borrowed and then owned.
template <class Test> void with_each(Test test) {
    for (const bool owned : {false, true})
        coir::run([&] {
            with_queued_error from;
            const int number = from.socket.get();
            io::descriptor owner;
            if (owned)
                owner = io::descriptor{from.socket.take()};
            test(from, number);
        });
}

TEST_F(perform, an_error_that_nobody_takes_keeps_no_loop_busy) {
    with_each([](with_queued_error&, int number) {
        std::error_code error;
        const mostly_asleep checked;
        const auto begin = clock::now();
        io::read_some(number, buffer, error, 200ms);
        EXPECT_EQ(error, std::errc::timed_out);
        EXPECT_GE(clock::now() - begin, 200ms);
    });
}

TEST_F(perform, what_comes_behind_such_an_error_is_read) {
    with_each([](with_queued_error& from, int number) {
        auto reader = spawn([&] {
            for (int i = 0; i < 20; ++i)
                EXPECT_EQ(io::read_some(number, buffer, 5s), 1U);
        });
        for (int i = 0; i < 20; ++i) {
            this_fiber::sleep_for(3ms); // it looks by itself now
            from.receives("x");
        }
        reader.join();
    });
}

// Nobody is called for the descriptor as long as the first waiter looks by itself. When that one leaves, the next must not be
// forgotten.
TEST_F(perform, those_who_wait_behind_a_fiber_that_looks_by_itself_are_not_forgotten) {
    with_each([](with_queued_error& from, int number) {
        std::error_code error;
        auto first = spawn([number] { io::read_some(number, buffer, 1h); });
        auto second = spawn([number] { EXPECT_EQ(io::read_some(number, buffer, 5s), 1U); });
        auto third = spawn([number] { EXPECT_EQ(io::read_some(number, buffer, 5s), 1U); });
        this_fiber::sleep_for(5ms);
        first.cancel();
        EXPECT_THROW(first.join(), cancelled);
        from.receives("x"); // for either: those who look by themselves do so in no order
        from.receives("y");
        second.join();
        third.join();
    });
}

// It waits to read, too, and is the only one who can clear it up.
TEST_F(perform, who_waits_to_take_the_error_is_called) {
    with_each([](with_queued_error& from, int number) {
        auto reader = spawn([number] { EXPECT_EQ(io::read_some(number, buffer, 5s), 1U); });
        this_fiber::sleep_for(5ms);
        io::wait_readable(number, 5s);
        msghdr message{};
        EXPECT_GE(::recvmsg(number, &message, MSG_ERRQUEUE | MSG_DONTWAIT), 0);
        from.receives("x");
        reader.join();
    });
}

/// Reads a byte at a time, and is done at the first 'z'.
class reading_to_z final : public detail::operation {
public:
    reading_to_z() noexcept : operation(detail::direction::read) {}
    bool attempt(int number) noexcept override {
        ++attempts;
        std::array<char, 1> byte{};
        const bool is_done = ::recv(number, byte.data(), 1, MSG_DONTWAIT) == 1 && byte[0] == 'z';
        errno = EAGAIN;
        return is_done;
    }

    int attempts = 0;
};

// Neither what comes in small pieces, of which none is enough, nor what others are quicker to take, is a reason to look by oneself.
TEST_F(perform, a_fiber_that_was_often_called_sleeps_when_there_is_nothing) {
    for (const bool others_take_it : {false, true})
        coir::run([others_take_it] {
            ends made = make_sockets();
            io::descriptor owner{made.read.take()};
            const int number = owner.get();
            reading_to_z work;
            auto reader = spawn([&] {
                detail::loop& here = *detail::loop::current();
                EXPECT_EQ(detail::perform(here, number, work, deadline::never()).error, 0);
            });
            this_fiber::yield();
            for (int i = 0; i < 20; ++i) {
                ASSERT_EQ(::write(made.write.get(), "x", 1), 1);
                detail::loop::current()->driver().run_once(detail::without_waiting); // it is called
                if (others_take_it) {
                    ASSERT_EQ(::read(number, buffer.data(), 1), 1);
                }
                this_fiber::yield();
            }
            EXPECT_LE(work.attempts, 22);
            const int before = work.attempts;
            this_fiber::sleep_for(30ms);
            EXPECT_LE(work.attempts, before + 1);
            ASSERT_EQ(::write(made.write.get(), "z", 1), 1);
            reader.join();
        });
}

TEST_F(perform, closing_wakes_a_fiber_that_looks_by_itself) {
    coir::run([] {
        with_queued_error from;
        io::descriptor owner{from.socket.take()};
        auto reader = spawn([&] {
            std::error_code error;
            owner.read_some(buffer, error, 1h);
            EXPECT_EQ(error, std::errc::bad_file_descriptor);
        });
        this_fiber::sleep_for(5ms);
        owner.close();
        reader.join();
    });
}

} // namespace
} // namespace coir::test
