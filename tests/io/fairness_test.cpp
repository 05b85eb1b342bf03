// A fiber whose calls always succeed does not keep the others from running (hazard E11).
#include "io/descriptors.hpp"

#include <coir/coir.hpp>

#include <chrono>
#include <csignal>
#include <functional>
#include <optional>
#include <thread>
#include <vector>

namespace coir::test {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

using fairness = descriptors;

// Calls `work` again and again until a ticker of 1 ms has ticked 20 times. Without the budget it would never tick.
void expect_ticks_beside(const std::function<void()>& work) {
    int ticks = 0;
    auto ticker = spawn([&ticks] {
        for (; ticks < 20; ++ticks)
            this_fiber::sleep_for(1ms);
    });
    const auto give_up = clock::now() + 10s;
    std::size_t calls = 0;
    while (ticks < 20 && (++calls % 64 != 0 || clock::now() < give_up))
        work();
    EXPECT_EQ(ticks, 20);
    ticker.join();
}

struct device {
    raw held;
    io::descriptor owner;
    int number;

    device(const char* path, int mode, bool owned) : held(::open(path, mode | O_CLOEXEC)), number(held.get()) {
        if (owned)
            owner = io::descriptor{held.take()};
    }
};

TEST_F(fairness, reader_of_what_never_ends) {
    for (const bool owned : {false, true})
        coir::run([owned] {
            const device zero{"/dev/zero", O_RDONLY, owned};
            std::array<std::byte, 64> buffer{};
            expect_ticks_beside([&] { io::read_some(zero.number, buffer); });
            expect_ticks_beside([&] { io::read_all(zero.number, buffer); });
            expect_ticks_beside([&] { io::pread_some(zero.number, buffer, 0); });
            expect_ticks_beside([&] { io::wait_readable(zero.number); });
            io::buffered_reader in{io::borrowed_descriptor{zero.number}};
            expect_ticks_beside([&] { in.read_all(buffer); });
        });
}

TEST_F(fairness, writer_to_what_is_never_full) {
    for (const bool owned : {false, true})
        coir::run([owned] {
            const device null{"/dev/null", O_WRONLY, owned};
            const std::array<std::byte, 64> buffer{};
            expect_ticks_beside([&] { io::write_some(null.number, buffer); });
            expect_ticks_beside([&] { io::write_all(null.number, buffer); });
            const device file{"/proc/self/exe", O_RDONLY, owned};
            expect_ticks_beside([&] { io::send_file(null.number, file.number, 0, 4'096); });
            expect_ticks_beside([&] { io::copy(file.number, null.number, 100); });
        });
}

// One call that would never end by itself.
TEST_F(fairness, a_copy_without_end) {
    coir::run([] {
        const device zero{"/dev/zero", O_RDONLY, true};
        const device null{"/dev/null", O_WRONLY, true};
        int ticks = 0;
        auto copier = spawn([&] { io::copy(zero.owner, null.owner); });
        for (; ticks < 20; ++ticks)
            this_fiber::sleep_for(1ms);
        copier.cancel();
        EXPECT_THROW(copier.join(), io::transfer_cancelled);
    });
}

// A thread sees to it that the pipe is full all the time.
TEST_F(fairness, reader_of_a_pipe_that_is_always_full) {
    for (const bool owned : {false, true}) {
        ends made = make_pipe();
        std::thread feeder{[out = made.write.get()] {
            ::signal(SIGPIPE, SIG_IGN);
            const std::vector<char> much(1 << 16);
            while (::write(out, much.data(), much.size()) > 0) {}
        }};
        coir::run([&] {
            std::optional<io::descriptor> owner;
            const int in = made.read.get();
            if (owned)
                owner.emplace(made.read.take());
            std::array<std::byte, 16> buffer{};
            io::read_some(in, buffer); // the thread has started
            expect_ticks_beside([&] { io::read_some(in, buffer); });
            owner.reset();
        });
        made.read.reset();
        feeder.join();
        ::signal(SIGPIPE, SIG_DFL);
    }
}

} // namespace
} // namespace coir::test
