// Signals that arrive all the time, and the one that a write to nobody would raise (hazard D9).
#include "io/descriptors.hpp"

#include <coir/coir.hpp>

#include <atomic>
#include <chrono>
#include <csignal>
#include <optional>
#include <sys/time.h>
#include <vector>

namespace coir::test {
namespace {

using namespace std::chrono_literals;
using clock = std::chrono::steady_clock;

using signals = descriptors;

std::atomic<int> arrived;

// SIGALRM every millisecond while it lives.
class storm {
public:
    explicit storm(int flags) {
        arrived = 0;
        struct sigaction action {};
        action.sa_handler = [](int) { ++arrived; };
        action.sa_flags = flags;
        ::sigaction(SIGALRM, &action, &old_);
        const itimerval every{{0, 1'000}, {0, 1'000}};
        ::setitimer(ITIMER_REAL, &every, nullptr);
    }
    ~storm() {
        const itimerval never{};
        ::setitimer(ITIMER_REAL, &never, nullptr);
        ::sigaction(SIGALRM, &old_, nullptr);
    }
    storm(const storm&) = delete;
    storm& operator=(const storm&) = delete;

private:
    struct sigaction old_ {};
};

TEST_F(signals, interrupt_no_call) {
    for (const int flags : {0, SA_RESTART}) {
        const storm raging{flags};
        for (const bool owned : {false, true})
            coir::run([owned] {
                ends made = make_pipe();
                const int in = made.read.get();
                const int out = made.write.get();
                std::optional<io::descriptor> reader_owner;
                std::optional<io::descriptor> writer_owner;
                if (owned) {
                    reader_owner.emplace(made.read.take());
                    writer_owner.emplace(made.write.take());
                }
                std::size_t sent = 0;
                bool stop = false;
                auto writer = spawn([&] {
                    const std::vector<std::byte> block(10'000, std::byte{7});
                    while (!stop)
                        sent += io::write_all(out, block);
                    if (writer_owner)
                        writer_owner->close();
                    else
                        made.write.reset();
                });
                auto clerk = spawn([&] {
                    for (int i = 0; i < 10; ++i) {
                        const auto start = clock::now();
                        this_fiber::sleep_for(5ms);
                        EXPECT_GE(clock::now() - start, 5ms);
                    }
                    stop = true;
                });
                std::size_t got = 0;
                std::vector<std::byte> buffer(8'192);
                while (const std::size_t n = io::read_some(in, buffer, 10s))
                    got += n;
                writer.join();
                clerk.join();
                EXPECT_EQ(got, sent);
            });
        EXPECT_GT(arrived, 50);
    }
}

TEST_F(signals, a_deadline_is_not_prolonged_by_them) {
    const storm raging{0};
    coir::run([] {
        const ends made = make_pipe();
        std::array<std::byte, 8> buffer{};
        const auto start = clock::now();
        EXPECT_EQ(error_of([&](auto& error) { io::read_some(made.read.get(), buffer, error, 30ms); }),
                  std::errc::timed_out);
        EXPECT_GE(clock::now() - start, 30ms);
        EXPECT_LT(clock::now() - start, 5s);
    });
}

TEST_F(signals, writing_to_nobody_is_an_error_and_no_signal_for_sockets) {
    struct sigaction before {};
    ::sigaction(SIGPIPE, nullptr, &before);
    ASSERT_EQ(before.sa_handler, SIG_DFL) << "it would kill this test";
    for (const bool owned : {false, true})
        coir::run([owned] {
            ends made = make_sockets();
            const int out = made.write.get();
            std::optional<io::descriptor> owner;
            if (owned)
                owner.emplace(made.write.take());
            made.read.reset();
            EXPECT_EQ(thrown_by([&] { io::write_some(out, bytes_of("x")); }), std::errc::broken_pipe);
            const std::array<io::const_buffer, 1> piece{{{"x", 1}}};
            EXPECT_EQ(thrown_by([&] { io::writev(out, piece); }), std::errc::broken_pipe);
        });
    struct sigaction after {};
    ::sigaction(SIGPIPE, nullptr, &after);
    EXPECT_EQ(after.sa_handler, SIG_DFL);
}

TEST_F(signals, pipes_raise_sigpipe_as_always) {
    EXPECT_EQ(in_child([] {
                  coir::run([] {
                      ends made = make_pipe();
                      made.read.reset();
                      io::write_some(made.write.get(), bytes_of("x"));
                  });
                  return 0;
              }),
              -SIGPIPE);
}

} // namespace
} // namespace coir::test
