// send_file: a file into a socket, pipe, terminal or another file, whatever mode that is in.
#include "io/descriptors.hpp"

#include <coir/coir.hpp>

#include <chrono>
#include <optional>
#include <random>
#include <vector>

namespace coir::test {
namespace {

using namespace std::chrono_literals;

using send_file = descriptors;

raw make_file(const std::vector<std::byte>& content, int flags = 0) {
    raw file = nameless_file(flags);
    EXPECT_EQ(::pwrite(file.get(), content.data(), content.size(), 0), static_cast<ssize_t>(content.size()));
    return file;
}

std::vector<std::byte> random_bytes(std::size_t size) {
    std::mt19937 random{1};
    std::vector<std::byte> made(size);
    for (std::byte& byte : made)
        byte = static_cast<std::byte>(random());
    return made;
}

std::vector<std::byte> read_to_end(int number) {
    std::vector<std::byte> got;
    std::array<std::byte, 5'000> buffer;
    while (const std::size_t n = io::read_some(number, buffer, 10s))
        got.insert(got.end(), buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(n));
    return got;
}

TEST_F(send_file, reaches_every_kind_of_reader_in_both_modes) {
    const auto content = random_bytes(400'000);
    for (const bool is_socket : {true, false})
        for (const bool owned : {true, false})
            coir::run([&] {
                const raw file = make_file(content);
                ends made = is_socket ? make_sockets() : make_pipe();
                const int mode = ::fcntl(made.write.get(), F_GETFL);
                std::optional<io::descriptor> owner;
                const int out = made.write.get();
                if (owned)
                    owner.emplace(made.write.take());
                auto sender = spawn([&, out] {
                    EXPECT_EQ(io::send_file(out, file.get(), 100, content.size()), content.size() - 100);
                    if (!owned) {
                        EXPECT_EQ(::fcntl(out, F_GETFL), mode);
                    }
                    owner.reset();
                    made.write.reset();
                });
                const auto got = read_to_end(made.read.get());
                EXPECT_TRUE(std::equal(got.begin(), got.end(), content.begin() + 100, content.end()));
                EXPECT_EQ(::lseek(file.get(), 0, SEEK_CUR), 0);
                sender.join();
            });
}

TEST_F(send_file, into_another_file_and_behind_the_end_of_one) {
    coir::run([] {
        const auto content = random_bytes(300'000);
        const raw file = make_file(content);
        const raw copy = make_file({});
        const raw log = make_file({}, O_APPEND); // sendfile() refuses
        for (const raw* out : {&copy, &log}) {
            EXPECT_EQ(io::send_file(out->get(), file.get(), 0, 1'000), 1'000U);
            EXPECT_EQ(io::send_file(out->get(), file.get(), 1'000, content.size()), content.size() - 1'000);
            std::vector<std::byte> got(content.size());
            EXPECT_EQ(io::pread_all(out->get(), got, 0), got.size());
            EXPECT_EQ(got, content);
            EXPECT_EQ(io::send_file(out->get(), file.get(), content.size(), 1), 0U);
            EXPECT_EQ(io::send_file(out->get(), file.get(), 1ULL << 40, 1), 0U);
            EXPECT_EQ(io::send_file(out->get(), file.get(), 0, 0), 0U);
        }
    });
}

TEST_F(send_file, says_how_far_it_got) {
    for (const bool owned : {true, false})
        coir::run([owned] {
            const auto content = random_bytes(2'000'000);
            const raw file = make_file(content);
            ends made = make_sockets();
            std::optional<io::descriptor> owner;
            const int out = made.write.get();
            if (owned)
                owner.emplace(made.write.take());
            std::error_code error;
            std::size_t sent = io::send_file(out, file.get(), 0, content.size(), error, 20ms);
            EXPECT_EQ(error, std::errc::timed_out);
            EXPECT_GT(sent, 0U);
            auto sender = spawn([&] {
                try {
                    io::send_file(out, file.get(), sent, content.size());
                    ADD_FAILURE();
                } catch (const io::transfer_cancelled& failure) {
                    sent += failure.bytes_transferred();
                }
                io::send_file(out, file.get(), sent, 1);
                ADD_FAILURE();
            });
            std::vector<std::byte> got(100'000);
            EXPECT_EQ(io::read_all(made.read.get(), got, 10s), got.size());
            for (int i = 0; i < 10; ++i)
                this_fiber::yield();
            sender.cancel();
            EXPECT_THROW(sender.join(), cancelled);
            got.resize(sent);
            EXPECT_EQ(io::read_all(made.read.get(), std::span{got}.subspan(100'000), 10s), sent - 100'000);
            EXPECT_TRUE(std::equal(got.begin(), got.end(), content.begin()));
            std::array<std::byte, 1> more{};
            EXPECT_EQ(error_of([&](auto& late) { io::read_some(made.read.get(), more, late, 1ms); }),
                      std::errc::timed_out);
        });
}

TEST_F(send_file, raises_no_sigpipe_for_sockets_and_changes_no_mask) {
    struct sigaction before {};
    ::sigaction(SIGPIPE, nullptr, &before);
    ASSERT_EQ(before.sa_handler, SIG_DFL) << "it would kill this test";
    const auto content = random_bytes(100'000);
    for (const bool owned : {true, false})
        coir::run([&] {
            const raw file = make_file(content);
            ends made = make_sockets();
            std::optional<io::descriptor> owner;
            const int out = made.write.get();
            if (owned)
                owner.emplace(made.write.take());
            made.read.reset();
            EXPECT_EQ(thrown_by([&] { io::send_file(out, file.get(), 0, content.size()); }), std::errc::broken_pipe);
            sigset_t now;
            sigset_t pending;
            ::pthread_sigmask(SIG_SETMASK, nullptr, &now);
            ::sigpending(&pending);
            EXPECT_EQ(sigismember(&now, SIGPIPE), 0);
            EXPECT_EQ(sigismember(&pending, SIGPIPE), 0);
        });
    // One that is pending because the program blocks it stays so.
    sigset_t pipe;
    sigset_t old;
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    ::pthread_sigmask(SIG_BLOCK, &pipe, &old);
    ::raise(SIGPIPE);
    coir::run([&] {
        const raw file = make_file(content);
        ends made = make_sockets();
        const io::descriptor out{made.write.take()};
        made.read.reset();
        EXPECT_EQ(thrown_by([&] { out.send_file(io::borrowed_descriptor{file.get()}, 0, 1); }), std::errc::broken_pipe);
    });
    const timespec at_once{};
    EXPECT_EQ(::sigtimedwait(&pipe, nullptr, &at_once), SIGPIPE);
    ::pthread_sigmask(SIG_SETMASK, &old, nullptr);
}

TEST_F(send_file, what_can_go_wrong) {
    coir::run([] {
        const raw file = make_file(random_bytes(10));
        ends pipe = make_pipe();
        ends other = make_pipe();
        const int out = pipe.write.get();
        EXPECT_EQ(thrown_by([&] { io::send_file(-1, file.get(), 0, 1); }), std::errc::bad_file_descriptor);
        EXPECT_EQ(thrown_by([&] { io::send_file(out, -1, 0, 1); }), std::errc::bad_file_descriptor);
        EXPECT_EQ(thrown_by([&] { io::send_file(out, other.read.get(), 0, 1); }), std::errc::invalid_seek);
        EXPECT_EQ(thrown_by([&] { io::send_file(out, file.get(), 1ULL << 63, 1); }), std::errc::invalid_argument);
        EXPECT_EQ(thrown_by([&] { io::send_file(out, file.get(), ~0ULL, 1); }), std::errc::invalid_argument);
        EXPECT_EQ(error_of([&](auto& error) { io::send_file(pipe.read.get(), file.get(), 0, 1, error); }),
                  std::errc::bad_file_descriptor);
        // Closed while it waits: the one and the other.
        for (const bool close_file : {false, true}) {
            ends full = make_pipe();
            raw closed_file = make_file(random_bytes(200'000));
            io::descriptor owner{full.write.take()};
            auto sender = spawn([number = owner.get(), from = closed_file.get()] {
                return error_of([&](auto& error) { io::send_file(number, from, 0, 200'000, error); });
            });
            this_fiber::sleep_for(1ms);
            if (close_file) {
                io::close(closed_file.take());
                const raw reused{::open("/proc/self/exe", O_RDONLY | O_CLOEXEC)}; // the same number
                std::vector<std::byte> sink(65'536);
                io::read_all(full.read.get(), sink, 5s);
                EXPECT_EQ(sender.join(), std::errc::bad_file_descriptor);
            } else {
                owner.close();
                EXPECT_EQ(sender.join(), std::errc::bad_file_descriptor);
            }
        }
    });
    EXPECT_THROW(io::send_file(1, 0, 0, 1), std::logic_error);
    EXPECT_EQ(error_of([&](auto& error) { io::send_file(1, 0, 0, 1, error); }), std::errc::operation_not_permitted);
}

} // namespace
} // namespace coir::test
