// Small pieces written together; what becomes of them when the sink fails, or nobody flushes.
#include "io/descriptors.hpp"

#include <coir/coir.hpp>

#include <chrono>
#include <optional>
#include <random>
#include <string>
#include <vector>

namespace coir::test {
namespace {

using namespace std::chrono_literals;
using io::buffered_writer;

using writer = descriptors;

// Keeps what it is given, each call apart, and takes no more than it is told to.
class recording {
public:
    std::size_t write_all(std::span<const std::byte> piece, std::error_code& error, deadline) noexcept {
        calls.push_back(text_of(take(piece, error)));
        return calls.back().size();
    }

    std::vector<std::string> calls;
    std::size_t room = 1'000'000;
    std::errc failure = std::errc::timed_out;

protected:
    std::span<const std::byte> take(std::span<const std::byte> piece, std::error_code& error) {
        error.clear();
        if (piece.size() > room) {
            error = std::make_error_code(failure);
            piece = piece.first(room);
        }
        room -= piece.size();
        return piece;
    }
};

class gathering : public recording {
public:
    std::size_t writev(std::span<const io::const_buffer> pieces, std::error_code& error, deadline) noexcept {
        std::string together;
        for (const io::const_buffer& piece : pieces)
            together += std::string{static_cast<const char*>(piece.data), piece.size};
        calls.push_back(text_of(take(bytes_of(together), error)));
        return calls.back().size();
    }
};

using texts = std::vector<std::string>;

TEST_F(writer, collects_until_it_is_full_or_flushed) {
    coir::run([] {
        gathering sink;
        buffered_writer out{sink, 8};
        EXPECT_EQ(out.write_all("abc"), 3U);
        EXPECT_EQ(out.write_all("defgh"), 5U);
        EXPECT_EQ(sink.calls, texts{});
        EXPECT_EQ(text_of(out.buffered()), "abcdefgh");
        EXPECT_EQ(out.write_all("i"), 1U); // does not fit
        EXPECT_EQ(sink.calls, texts{"abcdefghi"});
        EXPECT_EQ(out.flush(), 0U);
        out.write_all("jk");
        EXPECT_EQ(out.flush(), 2U);
        EXPECT_EQ(sink.calls, (texts{"abcdefghi", "jk"}));
        out.write_all("l");
        out.write_all("a large piece");
        out.write_all("another large piece");
        out.write_all(std::string_view{});
        EXPECT_EQ(sink.calls, (texts{"abcdefghi", "jk", "la large piece", "another large piece"}));
        EXPECT_TRUE(out.buffered().empty());
    });
}

TEST_F(writer, sinks_that_cannot_gather) {
    coir::run([] {
        recording sink;
        buffered_writer out{sink, 4};
        out.write_all("ab");
        out.write_all("cdefg");
        EXPECT_EQ(sink.calls, (texts{"ab", "cdefg"}));
        out.write_all("hi");
        sink.room = 3;
        std::error_code error;
        EXPECT_EQ(out.write_all("jklm", error, 1s), 1U);
        EXPECT_EQ(error, std::errc::timed_out);
        EXPECT_EQ(sink.calls, (texts{"ab", "cdefg", "hi", "j"}));
        EXPECT_TRUE(out.buffered().empty());
    });
}

TEST_F(writer, what_the_sink_does_not_take_is_kept_and_goes_first) {
    coir::run([] {
        for (std::size_t room = 0; room < 12; ++room) {
            gathering sink;
            buffered_writer out{sink, 8};
            out.write_all("abcdef");
            sink.room = room;
            std::size_t taken = 0;
            try {
                out.write_all("ghijkl");
                ADD_FAILURE();
            } catch (const io::transfer_error& failure) {
                EXPECT_EQ(failure.code(), std::errc::timed_out);
                taken = failure.bytes_transferred();
            }
            EXPECT_EQ(taken, room > 6 ? room - 6 : 0) << room;
            EXPECT_EQ(out.buffered().size(), room < 6 ? 6 - room : 0) << room;
            std::error_code error;
            out.flush(error); // nothing is taken now either
            sink.room = 100;
            // What fits behind the rest, and is moved to the front.
            const std::string rest = std::string{"ghijkl"}.substr(taken);
            for (const char letter : rest)
                out.write_all(std::string_view{&letter, 1});
            out.flush();
            std::string all;
            for (const std::string& call : sink.calls)
                all += call;
            EXPECT_EQ(all, "abcdefghijkl") << room;
        }
    });
}

TEST_F(writer, a_flush_that_fails_says_how_much_and_goes_on) {
    coir::run([] {
        gathering sink;
        buffered_writer out{sink};
        out.write_all("abcdef");
        sink.room = 2;
        try {
            out.flush(1s);
            ADD_FAILURE();
        } catch (const io::transfer_error& failure) {
            EXPECT_EQ(failure.bytes_transferred(), 2U);
            EXPECT_EQ(std::string_view{failure.what()}.substr(0, 26), "io::buffered_writer::flush");
        }
        sink.room = 100;
        EXPECT_EQ(out.flush(), 4U);
        EXPECT_EQ(sink.calls, (texts{"ab", "cdef"}));
    });
}

// A small socket, deadlines and cancellation: the stream arrives as it was written.
TEST_F(writer, nothing_is_lost_or_written_twice) {
    coir::run([] {
        ends made = make_sockets();
        const int one = 1;
        ::setsockopt(made.write.get(), SOL_SOCKET, SO_SNDBUF, &one, sizeof one);
        std::string sent(300'000, ' ');
        std::mt19937 random{1};
        for (char& letter : sent)
            letter = static_cast<char>('a' + random() % 26);
        io::descriptor socket{made.write.take()};
        int failures = 0;
        auto writing = spawn([&] {
            buffered_writer out{socket, 512};
            for (std::size_t done = 0; done < sent.size();) {
                const std::size_t size = std::min<std::size_t>(random() % 2'000, sent.size() - done);
                auto part = spawn([&] {
                    std::error_code error;
                    const deadline soon = random() % 4 == 0 ? deadline::passed() : deadline{100us};
                    done += out.write_all(std::string_view{sent}.substr(done, size), error, soon);
                    failures += error ? 1 : 0;
                });
                if (random() % 4 == 0) {
                    this_fiber::yield();
                    part.cancel();
                }
                part.join();
            }
            out.flush();
            socket.close();
        });
        std::string got;
        std::array<std::byte, 3'000> buffer;
        while (const std::size_t n =
                   io::read_some(made.read.get(), std::span{buffer}.first(1 + random() % 2'999), 10s)) {
            got += text_of(std::span{buffer}.first(n));
            if (random() % 16 == 0)
                this_fiber::sleep_for(100us);
        }
        EXPECT_TRUE(got == sent) << got.size() << " " << sent.size();
        EXPECT_GT(failures, 0); // how many depends on the load
        writing.join();
    });
}

// The destructor.

std::string said_on_stderr(const std::function<void()>& body) {
    testing::internal::CaptureStderr();
    coir::run(body);
    return testing::internal::GetCapturedStderr();
}

TEST_F(writer, destroyed_without_flush_says_so_and_does_not_write) {
    ends made = make_pipe();
    const std::string said = said_on_stderr([&] {
        spawn({.name = "clerk"}, [&] {
            buffered_writer out{io::borrowed_descriptor{made.write.get()}};
            out.write_all("12345");
        }).join();
    });
    EXPECT_NE(said.find("io::buffered_writer of fiber"), std::string::npos) << said;
    EXPECT_NE(said.find("\"clerk\" was destroyed with 5 bytes that were never flushed"), std::string::npos) << said;
    made.write.reset();
    char byte = 0;
    EXPECT_EQ(::read(made.read.get(), &byte, 1), 0);
}

TEST_F(writer, destroyed_in_order_is_silent) {
    EXPECT_EQ(said_on_stderr([] {
                  recording sink;
                  buffered_writer flushed{sink};
                  flushed.write_all("abc");
                  flushed.flush();
                  buffered_writer discarded{sink};
                  discarded.write_all("abc");
                  discarded.discard();
                  const buffered_writer unused{sink};
              }),
              "");
}

TEST_F(writer, destroyed_after_a_failure_that_was_told_is_silent) {
    EXPECT_EQ(said_on_stderr([] {
                  recording sink;
                  sink.room = 1;
                  sink.failure = std::errc::broken_pipe;
                  {
                      buffered_writer out{sink};
                      out.write_all("abc");
                      std::error_code error;
                      out.flush(error);
                      EXPECT_EQ(error, std::errc::broken_pipe);
                  }
                  try {
                      buffered_writer out{sink};
                      out.write_all("abc");
                      throw std::runtime_error{"half an answer"};
                  } catch (const std::runtime_error&) {}
                  auto stopped = spawn([&] {
                      buffered_writer out{sink};
                      out.write_all("abc");
                      this_fiber::sleep_for(10s);
                  });
                  this_fiber::yield();
                  stopped.cancel();
                  stopped.wait();
              }),
              "");
}

TEST_F(writer, what_is_written_after_a_failure_is_told_of_again) {
    const std::string said = said_on_stderr([] {
        recording sink;
        sink.room = 1;
        buffered_writer out{sink};
        std::error_code error;
        out.write_all("abc");
        out.flush(error);
        EXPECT_EQ(error, std::errc::timed_out);
        out.write_all("d");
    });
    EXPECT_NE(said.find("3 bytes that were never flushed"), std::string::npos) << said;
}

TEST_F(writer, destroyed_in_a_handler_of_an_older_exception_still_says_so) {
    const std::string said = said_on_stderr([] {
        struct tidies_up {
            recording& sink;
            ~tidies_up() {
                buffered_writer out{sink};
                std::error_code error;
                out.write_all("abc", error);
            }
        };
        recording sink;
        try {
            const tidies_up last{sink};
            throw std::runtime_error{"older"};
        } catch (const std::runtime_error&) {}
    });
    EXPECT_NE(said.find("3 bytes that were never flushed"), std::string::npos) << said;
}

TEST(writer_outside, is_misuse) {
    buffered_writer out{io::standard_output(), 4};
    EXPECT_THROW(out.write_all("abc"), std::logic_error);
    std::error_code error;
    EXPECT_EQ(out.write_all("abcdef", error), 0U);
    EXPECT_EQ(error, std::errc::operation_not_permitted);
    EXPECT_THROW(out.flush(), std::logic_error);
    static_assert(!std::is_constructible_v<buffered_writer, io::descriptor>, "it would be gone");
}

} // namespace
} // namespace coir::test
