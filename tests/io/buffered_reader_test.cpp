// Lines and other pieces out of streams that come in any portions, and that nothing is lost whatever ends a call.
#include "io/descriptors.hpp"

#include <coir/coir.hpp>

#include <chrono>
#include <cstring>
#include <random>
#include <string>
#include <vector>

namespace coir::test {
namespace {

using namespace std::chrono_literals;
using io::buffered_reader;

using reader = descriptors;

// A stream that hands out what it is told to, in portions of its own, and then an error or the end.
class scripted {
public:
    explicit scripted(std::vector<std::string> portions, std::errc end = {})
        : portions_(std::move(portions)), end_(end) {}

    std::size_t read_some(std::span<std::byte> buffer, std::error_code& error, deadline) noexcept {
        ++calls;
        error.clear();
        if (next_ == portions_.size()) {
            if (end_ != std::errc{})
                error = std::make_error_code(end_);
            return 0;
        }
        std::string& portion = portions_[next_];
        const std::size_t size = std::min(buffer.size(), portion.size());
        std::memcpy(buffer.data(), portion.data(), size);
        portion.erase(0, size);
        if (portion.empty())
            ++next_;
        return size;
    }

    int calls = 0;

private:
    std::vector<std::string> portions_;
    std::size_t next_ = 0;
    std::errc end_;
};

TEST_F(reader, lines_in_any_portions) {
    coir::run([] {
        const std::string text = "first\n\nthird\r\n\r\nfifth\rstill\n" + std::string(30, 'x') + "\nlast";
        const std::vector<std::string> expected{"first", "", "third", "", "fifth\rstill", std::string(30, 'x'), "last"};
        for (std::size_t portion = 1; portion <= text.size(); ++portion)
            for (const std::size_t capacity : {31U, 32U, 100U}) {
                std::vector<std::string> portions;
                for (std::size_t i = 0; i < text.size(); i += portion)
                    portions.push_back(text.substr(i, portion));
                scripted source{portions};
                buffered_reader lines{source, capacity};
                std::vector<std::string> got;
                while (const auto line = lines.read_line())
                    got.emplace_back(*line);
                EXPECT_EQ(got, expected) << portion << " of " << capacity;
                EXPECT_FALSE(lines.read_line().has_value());
            }
    });
}

TEST_F(reader, delimiters_of_any_length) {
    coir::run([] {
        const std::string text = "a: b\r\n\r\nbody\r\r\n\r\nx";
        for (std::size_t portion = 1; portion <= text.size(); ++portion) {
            std::vector<std::string> portions;
            for (std::size_t i = 0; i < text.size(); i += portion)
                portions.push_back(text.substr(i, portion));
            scripted source{portions};
            buffered_reader in{source};
            EXPECT_EQ(in.read_until("\r\n\r\n"), "a: b\r\n\r\n");
            EXPECT_EQ(in.read_until("\r\n\r\n"), "body\r\r\n\r\n");
            EXPECT_EQ(in.read_until("\r\n\r\n"), "x");
            EXPECT_EQ(in.read_until("\r\n\r\n"), "");
        }
        scripted source{{std::string{"one\0two", 7}}};
        buffered_reader in{source};
        EXPECT_EQ(in.read_until(std::string_view{"\0", 1}).size(), 4U);
        EXPECT_EQ(thrown_by([&] { in.read_until(""); }), std::errc::invalid_argument);
        EXPECT_EQ(in.read_until("o"), "two");
    });
}

TEST_F(reader, a_line_that_is_too_long_is_told_kindly_and_kept) {
    coir::run([] {
        scripted source{{"0123", "456789", "ab\nnext\n"}};
        buffered_reader lines{source, 8};
        try {
            lines.read_line();
            ADD_FAILURE();
        } catch (const io::transfer_error& failure) {
            EXPECT_EQ(failure.code(), std::errc::message_size);
            EXPECT_EQ(failure.bytes_transferred(), 0U);
            EXPECT_STREQ(failure.what(), "io::buffered_reader::read_line: more than 8 bytes: Message too long");
        }
        std::error_code error;
        EXPECT_FALSE(lines.read_line(error).has_value());
        EXPECT_EQ(error, std::errc::message_size);
        EXPECT_EQ(lines.read_until("\n", error), "");
        EXPECT_EQ(error, std::errc::message_size);
        std::array<std::byte, 100> rest{};
        EXPECT_EQ(lines.read_some(rest), 8U);
        EXPECT_EQ(text_of(std::span{rest}.first(8)), "01234567");
        EXPECT_EQ(lines.read_line(), "89ab");
        EXPECT_EQ(lines.read_line(), "next");
        // As long as the buffer, with its end.
        scripted exact{{"1234567\nx"}};
        buffered_reader fits{exact, 8};
        EXPECT_EQ(fits.read_line(), "1234567");
        EXPECT_EQ(fits.read_line(), "x");
        // The last one, which needs no end, but fills the buffer.
        scripted full{{"12345678"}};
        buffered_reader last{full, 8};
        EXPECT_EQ(error_of([&](auto& late) { static_cast<void>(last.read_line(late)); }), std::errc::message_size);
    });
}

TEST_F(reader, pieces_of_known_size) {
    coir::run([] {
        scripted source{{"ab", "cdefgh", "ijklmnopqrstuvwxyz"}};
        buffered_reader in{source, 8};
        std::array<std::byte, 5> five{};
        in.read_exactly(five);
        EXPECT_EQ(text_of(five), "abcde");
        EXPECT_EQ(text_of(in.buffered()), "fgh");
        EXPECT_EQ(text_of(in.peek(6)), "fghijklm");
        EXPECT_EQ(text_of(in.peek(6)), "fghijklm");
        in.consume(4);
        EXPECT_EQ(text_of(in.buffered()), "jklm");
        EXPECT_THROW(in.consume(5), std::logic_error);
        EXPECT_EQ(thrown_by([&] { in.peek(9); }), std::errc::message_size);
        EXPECT_EQ(error_of([&](auto& error) { in.peek(9, error); }), std::errc::message_size);
        std::array<std::byte, 12> twelve{};
        EXPECT_EQ(in.read_all(twelve), 12U);
        EXPECT_EQ(text_of(twelve), "jklmnopqrstu");
        try {
            in.read_exactly(twelve);
            ADD_FAILURE();
        } catch (const io::transfer_error& failure) {
            EXPECT_EQ(failure.code(), std::errc::no_message_available);
            EXPECT_EQ(failure.bytes_transferred(), 5U);
        }
        EXPECT_EQ(text_of(std::span{twelve}.first(5)), "vwxyz");
        EXPECT_EQ(in.read_all(five), 0U);
        EXPECT_EQ(in.read_some(five), 0U);
        EXPECT_TRUE(in.peek(3).empty());
        std::error_code error;
        EXPECT_EQ(in.read_exactly(five, error), 0U);
        EXPECT_EQ(error, std::errc::no_message_available);
        in.read_exactly({});
    });
}

TEST_F(reader, pieces_of_text) {
    coir::run([] {
        scripted source{{"abcdefghij"}};
        buffered_reader in{source, 8};
        std::string text(3, ' ');
        in.read_exactly(text);
        EXPECT_EQ(text, "abc");
        EXPECT_EQ(in.read_some(text, 5s), 3U);
        EXPECT_EQ(text, "def");
        std::error_code error;
        EXPECT_EQ(in.read_all(std::span{text}.first(2), error), 2U);
        EXPECT_EQ(text, "ghf");
        EXPECT_EQ(in.read_exactly(text, error, 5s), 2U);
        EXPECT_EQ(error, std::errc::no_message_available);
        EXPECT_EQ(text, "ijf");
    });
}

TEST_F(reader, large_pieces_do_not_pass_through_the_buffer) {
    coir::run([] {
        scripted source{{std::string(1'000, 'a')}};
        buffered_reader in{source, 16};
        std::array<std::byte, 1'000> whole{};
        EXPECT_EQ(in.read_some(whole), 1'000U);
        EXPECT_EQ(source.calls, 1);
    });
}

// Everything arrives, although the calls are of all kinds, and end by deadline and cancellation all the time.
TEST_F(reader, nothing_is_lost_by_deadlines_and_cancellation) {
    coir::run([] {
        ends made = make_sockets();
        std::string sent;
        std::mt19937 random{1};
        for (int line = 0; line < 2'000; ++line)
            sent += std::to_string(line) + std::string(random() % 60, '.') + '\n';
        auto writer = spawn([&] {
            std::mt19937 sizes{2};
            for (std::size_t done = 0; done < sent.size();) {
                const std::size_t size = std::min<std::size_t>(1 + sizes() % 200, sent.size() - done);
                io::write_all(made.write.get(), bytes_of(std::string_view{sent}.substr(done, size)));
                done += size;
                if (sizes() % 4 == 0)
                    this_fiber::sleep_for(50us);
            }
            made.write.reset();
        });
        const io::descriptor socket{made.read.take()};
        buffered_reader in{socket, 128};
        std::string got;
        int timeouts = 0;
        int cancellations = 0;
        for (bool ended = false; !ended;) {
            auto part = spawn([&] {
                for (;;) {
                    std::error_code error;
                    const deadline soon = random() % 2 ? deadline::passed() : deadline{20us};
                    switch (random() % 4) {
                    case 0: {
                        got += in.read_until("\n", error, soon);
                        break;
                    }
                    case 1: {
                        const auto there = in.peek(1 + random() % 100, error, soon);
                        if (!error) {
                            got += text_of(there);
                            in.consume(there.size());
                        }
                        break;
                    }
                    case 2: {
                        std::array<std::byte, 150> buffer;
                        const std::size_t n = in.read_all(std::span{buffer}.first(random() % 150), error, soon);
                        got += text_of(std::span{buffer}.first(n));
                        break;
                    }
                    default: {
                        std::array<std::byte, 150> buffer;
                        const auto piece = std::span{buffer}.first(1 + random() % 149);
                        const std::size_t n = in.read_some(piece, error, deadline{20us});
                        got += text_of(piece.first(n));
                        if (n == 0 && !error) {
                            ended = true;
                            return;
                        }
                    }
                    }
                    if (error == std::errc::timed_out)
                        ++timeouts;
                    if (error == std::errc::operation_canceled) {
                        ++cancellations;
                        return;
                    }
                }
            });
            this_fiber::sleep_for(200us);
            part.cancel();
            part.wait();
        }
        EXPECT_EQ(got, sent);
        EXPECT_GT(timeouts, 10);
        EXPECT_GT(cancellations, 3);
        writer.join();
    });
}

TEST_F(reader, a_cancelled_fiber_gets_what_is_buffered_and_then_the_exception) {
    coir::run([] {
        ends made = make_pipe();
        ASSERT_EQ(::write(made.write.get(), "one\ntwo\nthr", 11), 11);
        buffered_reader lines{io::borrowed_descriptor{made.read.get()}};
        EXPECT_EQ(lines.read_line(), "one");
        auto other = spawn([&] {
            EXPECT_EQ(lines.read_line(), "two");
            lines.read_line();
            ADD_FAILURE();
        });
        other.cancel();
        EXPECT_THROW(other.join(), cancelled);
        ASSERT_EQ(::write(made.write.get(), "ee\n", 3), 3);
        EXPECT_EQ(lines.read_line(5s), "three");
        EXPECT_EQ(thrown_by([&] { lines.read_line(1ms); }), std::errc::timed_out);
    });
}

TEST_F(reader, errors_of_the_source_name_the_call_and_keep_the_rest) {
    coir::run([] {
        scripted source{{"half a li"}, std::errc::connection_reset};
        buffered_reader lines{source};
        try {
            lines.read_line();
            ADD_FAILURE();
        } catch (const io::transfer_error& failure) {
            EXPECT_EQ(failure.code(), std::errc::connection_reset);
            EXPECT_EQ(std::string_view{failure.what()}.substr(0, 30), "io::buffered_reader::read_line");
        }
        EXPECT_EQ(text_of(lines.buffered()), "half a li");
        std::array<std::byte, 100> buffer{};
        try {
            lines.read_all(buffer);
            ADD_FAILURE();
        } catch (const io::transfer_error& failure) {
            EXPECT_EQ(failure.bytes_transferred(), 9U);
        }
        // The error is what matters, not that there were too few bytes for it.
        EXPECT_EQ(thrown_by([&] { lines.read_exactly(buffer); }), std::errc::connection_reset);
        // Cancelled for a reason of its own.
        scripted odd{{}, std::errc::operation_canceled};
        buffered_reader in{odd};
        EXPECT_EQ(thrown_by([&] { in.read_line(); }), std::errc::operation_canceled);
    });
}

TEST_F(reader, of_connections_and_of_readers) {
    coir::run([] {
        net::tcp_listener listener{"127.0.0.1", 0};
        net::tcp_stream near{listener.local_endpoint(), 5s};
        net::tcp_stream far = listener.accept(5s);
        near.write_all(bytes_of("GET /\r\n\r\n"));
        buffered_reader in{far};
        buffered_reader nested{in, 16};
        EXPECT_EQ(nested.read_line(5s), "GET /");
        EXPECT_EQ(nested.read_line(5s), "");
    });
}

TEST(reader_outside, is_misuse) {
    buffered_reader in{io::standard_input()};
    std::array<std::byte, 8> buffer{};
    EXPECT_THROW(in.read_line(), std::logic_error);
    EXPECT_THROW(in.read_some(buffer), std::logic_error);
    EXPECT_EQ(error_of([&](auto& error) { static_cast<void>(in.read_line(error)); }),
              std::errc::operation_not_permitted);
    static_assert(!std::is_constructible_v<buffered_reader, io::descriptor>, "it would be gone");
    static_assert(std::is_constructible_v<buffered_reader, io::descriptor&>);
    static_assert(std::is_constructible_v<buffered_reader, io::borrowed_descriptor>);
}

} // namespace
} // namespace coir::test
