// copy: between descriptors of all kinds, in both modes, and from readers into streams.
#include "io/descriptors.hpp"

#include <coir/coir.hpp>

#include <chrono>
#include <optional>
#include <string>
#include <sys/eventfd.h>
#include <vector>

namespace coir::test {
namespace {

using namespace std::chrono_literals;

using copying = descriptors;

std::string numbers(std::size_t size) {
    std::string made;
    for (int i = 0; made.size() < size; ++i)
        made += std::to_string(i) + ' ';
    made.resize(size);
    return made;
}

raw make_file(std::string_view content, int flags = 0) {
    raw file = nameless_file(flags);
    EXPECT_EQ(::pwrite(file.get(), content.data(), content.size(), 0), static_cast<ssize_t>(content.size()));
    return file;
}

std::string content_of(int file) {
    std::vector<std::byte> buffer(2'000'000);
    buffer.resize(io::pread_all(file, buffer, 0));
    return text_of(buffer);
}

enum class kind { file, appended_file, pipe, unix_socket, tcp_socket };

struct combination {
    kind from;
    kind to;
    bool owned;
};

class copying_between : public descriptors, public testing::WithParamInterface<combination> {};

// One end to use, and the other for the test. The used one is owned or borrowed.
struct line {
    raw used;
    raw far;
    io::descriptor owner;
    int number = -1;
};

line make_line(kind which, bool reads, bool owned, std::string_view content) {
    line made;
    switch (which) {
    case kind::file:
    case kind::appended_file:
        made.used = make_file(reads ? content : "", which == kind::file ? 0 : O_APPEND);
        made.far = raw{::fcntl(made.used.get(), F_DUPFD_CLOEXEC, 0)};
        break;
    case kind::pipe: {
        ends pipe = make_pipe();
        made.used = std::move(reads ? pipe.read : pipe.write);
        made.far = std::move(reads ? pipe.write : pipe.read);
        break;
    }
    case kind::unix_socket: {
        ends sockets = make_sockets();
        made.used = std::move(sockets.read);
        made.far = std::move(sockets.write);
        break;
    }
    case kind::tcp_socket: {
        net::tcp_listener listener{"127.0.0.1", 0};
        const net::tcp_stream near{listener.local_endpoint(), 5s};
        const net::tcp_stream far = listener.accept(5s);
        made.used = raw{::fcntl(near.native_handle(), F_DUPFD_CLOEXEC, 0)};
        made.far = raw{::fcntl(far.native_handle(), F_DUPFD_CLOEXEC, 0)};
        for (const raw* each : {&made.used, &made.far})
            ::fcntl(each->get(), F_SETFL, ::fcntl(each->get(), F_GETFL) & ~O_NONBLOCK);
    }
    }
    made.number = made.used.get();
    if (owned)
        made.owner = io::descriptor{made.used.take()};
    return made;
}

TEST_P(copying_between, everything_arrives) {
    const auto [from, to, owned] = GetParam();
    const std::string sent = numbers(300'000);
    coir::run([&, from = from, to = to, owned = owned] {
        line source = make_line(from, true, owned, sent);
        line sink = make_line(to, false, owned, "");
        const int mode = ::fcntl(sink.number, F_GETFL);
        fiber<void> writer;
        if (from != kind::file)
            writer = spawn([&] {
                io::write_all(source.far.get(), bytes_of(sent).first(100'000));
                this_fiber::sleep_for(1ms);
                io::write_all(source.far.get(), bytes_of(sent).subspan(100'000));
                source.far.reset();
            });
        auto copier = spawn([&] {
            // The first part exactly, and the rest to the end.
            EXPECT_EQ(io::copy(source.number, sink.number, 77'777), 77'777U);
            EXPECT_EQ(io::copy(source.number, sink.number), sent.size() - 77'777);
            if (!owned) {
                EXPECT_EQ(::fcntl(sink.number, F_GETFL), mode);
            }
            sink.owner.close();
            sink.used.reset();
        });
        if (to == kind::file || to == kind::appended_file) {
            copier.join();
            EXPECT_TRUE(content_of(sink.far.get()) == sent);
        } else {
            std::vector<std::byte> got(sent.size() + 1);
            const std::size_t size = io::read_all(sink.far.get(), got, 10s);
            EXPECT_EQ(size, sent.size());
            EXPECT_TRUE(text_of(std::span{got}.first(size)) == sent);
            copier.join();
        }
        if (writer.joinable())
            writer.join();
    });
}

// What is not copied when a deadline comes is still there.
TEST_P(copying_between, nothing_is_lost_by_deadlines_and_cancellation) {
    const auto [from, to, owned] = GetParam();
    if (from == kind::file || to == kind::file || to == kind::appended_file)
        return; // nothing to wait for; or see send_file_test
    // A pipe into a socket that is not in non-blocking mode: the one that keeps nothing, see the header.
    if (!owned && from == kind::pipe && to != kind::pipe)
        return;
    const std::string sent = numbers(400'000);
    coir::run([&, from = from, to = to, owned = owned] {
        line source = make_line(from, true, owned, sent);
        line sink = make_line(to, false, owned, "");
        auto writer = spawn([&] {
            for (std::size_t done = 0; done < sent.size(); done += 10'000) {
                io::write_all(source.far.get(), bytes_of(sent).subspan(done, 10'000));
                if (done % 50'000 == 0)
                    this_fiber::sleep_for(100us);
            }
            source.far.reset();
        });
        std::size_t copied = 0;
        int interrupted = 0;
        auto copier = spawn([&] {
            for (int round = 0; copied < sent.size(); ++round) {
                auto part = spawn([&] {
                    std::error_code error;
                    copied += io::copy(source.number, sink.number, io::no_limit, error, 200us);
                    interrupted += error ? 1 : 0;
                    EXPECT_TRUE(!error || error == std::errc::timed_out || error == std::errc::operation_canceled)
                        << error;
                });
                if (round % 2) {
                    this_fiber::sleep_for(50us);
                    part.cancel();
                }
                part.join();
            }
            sink.owner.close();
            sink.used.reset();
        });
        std::vector<std::byte> got(sent.size() + 1);
        std::size_t size = 0;
        while (const std::size_t n = io::read_some(
                   sink.far.get(), std::span{got}.subspan(size).first(std::min<std::size_t>(9'000, got.size() - size)),
                   10s)) {
            size += n;
            if (size % 3 == 0)
                this_fiber::sleep_for(50us);
        }
        EXPECT_EQ(size, sent.size());
        EXPECT_EQ(copied, sent.size());
        EXPECT_TRUE(text_of(std::span{got}.first(size)) == sent);
        EXPECT_GT(interrupted, 2);
        copier.join();
        writer.join();
    });
}

std::vector<combination> combinations() {
    std::vector<combination> made;
    for (const kind from : {kind::file, kind::pipe, kind::unix_socket, kind::tcp_socket})
        for (const kind to : {kind::file, kind::appended_file, kind::pipe, kind::unix_socket, kind::tcp_socket})
            for (const bool owned : {false, true})
                made.push_back({from, to, owned});
    return made;
}

std::string name_of(const testing::TestParamInfo<combination>& test) {
    const auto name = [](kind which) -> std::string {
        switch (which) {
        case kind::file:
            return "file";
        case kind::appended_file:
            return "appended_file";
        case kind::pipe:
            return "pipe";
        case kind::unix_socket:
            return "unix_socket";
        default:
            return "tcp_socket";
        }
    };
    return name(test.param.from) + "_to_" + name(test.param.to) + (test.param.owned ? "_owned" : "_borrowed");
}

INSTANTIATE_TEST_SUITE_P(all, copying_between, testing::ValuesIn(combinations()), name_of);

TEST_F(copying, moves_the_position_of_files) {
    coir::run([] {
        const raw from = make_file("0123456789");
        const raw to = make_file("");
        ::lseek(from.get(), 3, SEEK_SET);
        EXPECT_EQ(io::copy(from.get(), to.get(), 4), 4U);
        EXPECT_EQ(::lseek(from.get(), 0, SEEK_CUR), 7);
        EXPECT_EQ(io::copy(from.get(), to.get(), 0), 0U);
        EXPECT_EQ(io::copy(from.get(), to.get()), 3U);
        EXPECT_EQ(io::copy(from.get(), to.get()), 0U);
        EXPECT_EQ(content_of(to.get()), "3456789");
        // Files whose size is not known before.
        const raw proc{::open("/proc/self/status", O_RDONLY | O_CLOEXEC)};
        EXPECT_GT(io::copy(proc.get(), to.get()), 100U);
        // Devices.
        const raw zero{::open("/dev/zero", O_RDONLY | O_CLOEXEC)};
        const raw null{::open("/dev/null", O_RDWR | O_CLOEXEC)};
        EXPECT_EQ(io::copy(zero.get(), to.get(), 100'000), 100'000U);
        EXPECT_EQ(io::copy(from.get(), null.get()), 0U);
        EXPECT_EQ(io::copy(null.get(), to.get()), 0U);
    });
}

// Closed, and its number used again, while `to` is full.
TEST_F(copying, leaves_the_position_of_another_file_alone) {
    coir::run([] {
        const ends full = make_sockets();
        raw from = make_file(numbers(1'000'000));
        const raw other = make_file("0123456789");
        ::lseek(other.get(), 3, SEEK_SET);
        auto copier = spawn([in = from.get(), to = full.write.get()] {
            return error_of([&](auto& error) { io::copy(in, to, io::no_limit, error); });
        });
        this_fiber::sleep_for(1ms);
        const int number = from.take();
        io::close(number);
        const raw reused{::dup2(other.get(), number)};
        std::vector<std::byte> drain(1'000'000);
        std::error_code error;
        io::read_all(full.read.get(), drain, error, 20ms);
        EXPECT_EQ(copier.join(), std::errc::bad_file_descriptor);
        EXPECT_EQ(::lseek(reused.get(), 0, SEEK_CUR), 3);
    });
}

// As splice.opened_again_when_the_slice_ends: a call has found nothing in a socket.
TEST_F(copying, from_what_is_opened_again_when_the_slice_ends) {
    coir::run([] {
        constexpr int calls_in_two_slices = 128;
        std::array<std::byte, 1> byte{};
        for (int calls = 0; calls <= calls_in_two_slices; ++calls) {
            auto from = net::unix_stream::pair();
            auto other = net::unix_stream::pair();
            const auto to = net::unix_stream::pair();
            io::pipe_ends unrelated = io::pipe();
            bool begins = false;
            auto copier = spawn([&, in = from.first.native_handle(), out = to.first.native_handle()] {
                for (int i = 0; i < calls; ++i)
                    unrelated.write.write_all(byte);
                begins = true;
                return error_of([&](auto& error) { io::copy(in, out, io::no_limit, error, 1s); });
            });
            while (!begins)
                this_fiber::yield();
            const int number = from.first.native_handle();
            from.first.close();
            io::descriptor reused{::dup2(other.first.native_handle(), number)};
            ASSERT_EQ(copier.join(), std::errc::bad_file_descriptor) << calls;
        }
    });
}

// What is at the number of `to` when there is something to copy again gets nothing of it. An eventfd is read in small pieces.
TEST_F(copying, into_what_is_opened_again_meanwhile) {
    coir::run([] {
        for (const bool in_small_pieces : {false, true}) {
            auto sockets = net::unix_stream::pair();
            const raw counter{::eventfd(0, EFD_CLOEXEC)};
            auto to = net::unix_stream::pair();
            auto other = net::unix_stream::pair();
            const int in = in_small_pieces ? counter.get() : sockets.first.native_handle();
            const int out = to.first.native_handle();
            auto copier = spawn([&] { return error_of([&](auto& error) { io::copy(in, out, 8, error, 5s); }); });
            this_fiber::sleep_for(1ms);
            to.first.close();
            io::descriptor reused{::dup2(other.first.native_handle(), out)};
            if (in_small_pieces)
                ASSERT_EQ(::eventfd_write(counter.get(), 1), 0);
            else
                sockets.second.write_all(bytes_of("not thus"), 5s);
            EXPECT_EQ(copier.join(), std::errc::bad_file_descriptor);
            reused.close();
            other.first.close();
            std::array<std::byte, 8> got{};
            EXPECT_EQ(other.second.read_all(got, 5s), 0U);
        }
    });
}

// As above: `from` is another file when `to` has room at last, and keeps what it has.
TEST_F(copying, in_small_pieces_from_what_is_opened_again_meanwhile) {
    coir::run([] {
        raw from{::eventfd(1, EFD_CLOEXEC)};
        const raw other{::eventfd(2, EFD_CLOEXEC | EFD_NONBLOCK)};
        auto to = net::unix_stream::pair();
        while (::send(to.first.native_handle(), "x", 1, MSG_DONTWAIT) == 1) {}
        const int in = from.take();
        auto copier = spawn([&, out = to.first.native_handle()] {
            return error_of([&](auto& error) { io::copy(in, out, 8, error, 5s); });
        });
        this_fiber::sleep_for(1ms);
        io::close(in);
        const raw reused{::dup2(other.get(), in)};
        std::vector<std::byte> drain(1'000'000);
        std::error_code error;
        to.second.read_some(drain, error, 5s);
        EXPECT_EQ(copier.join(), std::errc::bad_file_descriptor);
        eventfd_t value = 0;
        EXPECT_EQ(::eventfd_read(other.get(), &value), 0);
        EXPECT_EQ(value, 2U);
    });
}

TEST_F(copying, out_of_and_into_a_terminal) {
    for (const bool owned : {false, true})
        coir::run([owned] {
            raw master{::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)};
            if (master.get() < 0 || ::grantpt(master.get()) != 0 || ::unlockpt(master.get()) != 0)
                GTEST_SKIP() << "no pseudo-terminals here";
            raw terminal{::open(::ptsname(master.get()), O_RDWR | O_NOCTTY | O_CLOEXEC)};
            const int number = terminal.get();
            std::optional<io::descriptor> owner;
            if (owned)
                owner.emplace(terminal.take());
            ends pipe = make_pipe();
            auto reader = spawn([&] { EXPECT_EQ(io::copy(number, pipe.write.get(), 6, 10s), 6U); });
            io::write_all(master.get(), bytes_of("typed\n"));
            reader.join();
            EXPECT_EQ(io::copy(pipe.read.get(), number, 6, 10s), 6U);
            std::array<std::byte, 100> seen{};
            // The echo, and what was copied; a terminal makes "\r\n" of "\n".
            EXPECT_EQ(io::read_all(master.get(), std::span{seen}.first(14), 10s), 14U);
            EXPECT_EQ(text_of(std::span{seen}.first(14)), "typed\r\ntyped\r\n");
        });
}

TEST_F(copying, between_streams_of_the_system) {
    coir::run([] {
        net::tcp_listener listener{"127.0.0.1", 0};
        net::tcp_stream near{listener.local_endpoint(), 5s};
        net::tcp_stream far = listener.accept(5s);
        io::pipe_ends pipe = io::pipe();
        pipe.write.write_all(bytes_of("hello"));
        EXPECT_EQ(io::copy(pipe.read, near, 5, 5s), 5U);
        std::error_code error;
        EXPECT_EQ(io::copy(far, pipe.write, 3, error, 5s), 3U);
        EXPECT_EQ(error, std::error_code{});
        EXPECT_EQ(io::copy(far, io::borrowed_descriptor{pipe.write.get()}, 100, error, 1ms), 2U);
        EXPECT_EQ(error, std::errc::timed_out);
        static_assert(io::enable_kernel_copy<io::descriptor> && io::enable_kernel_copy<net::tcp_stream> &&
                      io::enable_kernel_copy<net::unix_stream>);
        // Between families: what a proxy does.
        auto [client, proxy] = net::unix_stream::pair();
        client.write_all(bytes_of("request"), 5s);
        EXPECT_EQ(io::copy(proxy, near, 7, 5s), 7U);
        EXPECT_EQ(io::copy(far, proxy, 7, 5s), 7U);
        std::array<std::byte, 7> buffer{};
        EXPECT_EQ(client.read_all(buffer, 5s), 7U);
        client.shutdown_write();
        EXPECT_EQ(io::copy(proxy, far), 0U); // the end
        static_assert(!io::enable_kernel_copy<io::buffered_reader>);
    });
}

TEST_F(copying, from_a_reader_what_is_buffered_goes_first) {
    coir::run([] {
        ends made = make_pipe();
        ends out = make_sockets();
        ASSERT_EQ(::write(made.write.get(), "header\nbody of it", 17), 17);
        io::buffered_reader in{io::borrowed_descriptor{made.read.get()}, 10};
        EXPECT_EQ(in.read_line(), "header");
        io::borrowed_descriptor to{out.write.get()};
        EXPECT_EQ(io::copy(in, to, 4), 4U);
        made.write.reset();
        EXPECT_EQ(io::copy(in, to), 6U);
        std::array<std::byte, 10> buffer{};
        EXPECT_EQ(io::read_all(out.read.get(), buffer), 10U);
        EXPECT_EQ(text_of(buffer), "body of it");
    });
}

TEST_F(copying, what_a_stream_does_not_take_stays_in_the_reader) {
    coir::run([] {
        ends made = make_pipe();
        ends out = make_pipe();
        const std::string much(65'536, 'x');
        ASSERT_EQ(::write(out.write.get(), much.data(), much.size()), static_cast<ssize_t>(much.size()));
        ASSERT_EQ(::write(made.write.get(), "abc", 3), 3);
        io::buffered_reader in{io::borrowed_descriptor{made.read.get()}};
        io::borrowed_descriptor to{out.write.get()};
        try {
            io::copy(in, to, io::no_limit, 1ms);
            ADD_FAILURE();
        } catch (const io::transfer_error& failure) {
            EXPECT_EQ(failure.code(), std::errc::timed_out);
            EXPECT_EQ(failure.bytes_transferred(), 0U);
            EXPECT_EQ(failure.what(),
                      "io::copy to descriptor " + std::to_string(out.write.get()) + ": Connection timed out");
        }
        EXPECT_EQ(text_of(in.buffered()), "abc");
        auto stopped = spawn([&] { io::copy(in, to); });
        this_fiber::yield();
        stopped.cancel();
        EXPECT_THROW(stopped.join(), cancelled);
        EXPECT_EQ(text_of(in.buffered()), "abc");
    });
}

TEST_F(copying, cancellation_says_how_many_bytes) {
    coir::run([] {
        io::pipe_ends from = io::pipe();
        ends to = make_sockets();
        const io::descriptor out{to.write.take()};
        auto copier = spawn([&] {
            try {
                io::copy(from.read, out);
                ADD_FAILURE();
            } catch (const io::transfer_cancelled& failure) {
                EXPECT_EQ(failure.bytes_transferred(), 3U);
            }
            io::copy(from.read, out);
            ADD_FAILURE();
        });
        from.write.write_all(bytes_of("abc"));
        this_fiber::sleep_for(1ms);
        copier.cancel();
        EXPECT_THROW(copier.join(), cancelled);
    });
}

TEST_F(copying, what_can_go_wrong) {
    coir::run([] {
        ends pipe = make_pipe();
        ends sockets = make_sockets();
        ends datagrams = make_sockets(SOCK_DGRAM);
        EXPECT_EQ(thrown_by([&] { io::copy(-1, pipe.write.get()); }), std::errc::bad_file_descriptor);
        EXPECT_EQ(thrown_by([&] { io::copy(pipe.read.get(), 1'000'000); }), std::errc::bad_file_descriptor);
        EXPECT_EQ(thrown_by([&] { io::copy(datagrams.read.get(), pipe.write.get()); }), std::errc::invalid_argument);
        EXPECT_EQ(thrown_by([&] { io::copy(sockets.read.get(), datagrams.write.get()); }), std::errc::invalid_argument);
        const raw directory{::open("/", O_RDONLY | O_CLOEXEC)};
        EXPECT_EQ(thrown_by([&] { io::copy(directory.get(), sockets.write.get()); }), std::errc::is_a_directory);
        // The peer of `to` is gone: no SIGPIPE, and what was not taken is still there.
        for (const bool owned : {false, true}) {
            ends from = make_sockets();
            ends to = make_sockets();
            const int out = to.write.get();
            std::optional<io::descriptor> owner;
            if (owned)
                owner.emplace(to.write.take());
            to.read.reset();
            ASSERT_EQ(::write(from.write.get(), "abc", 3), 3);
            EXPECT_EQ(thrown_by([&] { io::copy(from.read.get(), out); }), std::errc::broken_pipe);
            std::array<std::byte, 8> buffer{};
            EXPECT_EQ(io::read_all(from.read.get(), std::span{buffer}.first(3)), 3U);
        }
        // `from` is closed, and its number used again, while `to` is full.
        ends from = make_sockets();
        io::pipe_ends unused = io::pipe();
        ends full = make_sockets();
        ASSERT_EQ(::write(from.write.get(), "abc", 3), 3);
        while (::send(full.write.get(), "x", 1, MSG_DONTWAIT) == 1) {}
        auto copier = spawn([in = from.read.get(), to = full.write.get()] {
            return error_of([&](auto& error) { io::copy(in, to, io::no_limit, error); });
        });
        this_fiber::sleep_for(1ms);
        io::close(from.read.take());
        ends reused = make_sockets();
        ASSERT_EQ(::write(reused.write.get(), "other", 5), 5);
        std::vector<std::byte> drain(1'000'000);
        std::error_code error;
        io::read_all(full.read.get(), drain, error, 20ms);
        EXPECT_EQ(copier.join(), std::errc::bad_file_descriptor);
        EXPECT_EQ(io::read_all(reused.read.get(), std::span{drain}.first(5), 5s), 5U); // that was not copied
    });
    EXPECT_THROW(io::copy(0, 1), std::logic_error);
    EXPECT_EQ(error_of([&](auto& error) { io::copy(0, 1, io::no_limit, error); }), std::errc::operation_not_permitted);
}

} // namespace
} // namespace coir::test
