// Descriptors as cases of select().

#include "io/descriptors.hpp"

#include <coir/channel.hpp>
#include <coir/fiber.hpp>
#include <coir/io.hpp>
#include <coir/run.hpp>
#include <coir/select.hpp>
#include <coir/this_fiber.hpp>

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstddef>
#include <optional>
#include <stdexcept>
#include <system_error>

namespace {

using coir::after;
using coir::channel;
using coir::fiber;
using coir::receive_from;
using coir::run;
using coir::spawn;
using coir::io::readable;
using coir::io::writable;
using coir::test::bytes_of;
using coir::test::ends;
using coir::test::make_pipe;
using coir::test::thrown_by;
namespace io = coir::io;
namespace this_fiber = coir::this_fiber;
using namespace std::chrono_literals;

class readiness_case : public coir::test::descriptors {
protected:
    void SetUp() override {
        descriptors::SetUp();
        pipe = make_pipe();
        other = make_pipe();
    }
    void TearDown() override {
        pipe = ends();
        other = ends();
        descriptors::TearDown();
    }

    ends pipe;
    ends other;
};

TEST_F(readiness_case, is_chosen_when_there_is_something_and_takes_nothing) {
    run([this] {
        channel<int> numbers;
        std::optional<int> number;
        EXPECT_EQ(coir::select(readable(pipe.read.get()), writable(pipe.write.get())), 1U);
        EXPECT_EQ(coir::select(readable(pipe.read.get()), after(1ms)), 1U);
        fiber<void> writer = spawn([this] { io::write_all(pipe.write.get(), bytes_of("x")); });
        EXPECT_EQ(coir::select(receive_from(numbers, number), readable(other.read.get()), readable(pipe.read.get())),
                  2U);
        std::array<std::byte, 8> buffer{};
        EXPECT_EQ(io::read_some(pipe.read.get(), buffer), 1U);
        fiber<void> sender = spawn([&] { numbers.send(6); });
        EXPECT_EQ(coir::select(receive_from(numbers, number), readable(other.read.get()), readable(pipe.read.get())),
                  0U);
        EXPECT_EQ(number, 6);
    });
}

// A reader behind it is called in its place.
TEST_F(readiness_case, does_not_keep_a_reader_from_what_has_come) {
    run([this] {
        fiber<std::size_t> selector = spawn([this] { return coir::select(readable(pipe.read.get()), after(10s)); });
        fiber<std::size_t> reader = spawn([this] {
            std::array<std::byte, 8> buffer{};
            return io::read_some(pipe.read.get(), buffer, 10s);
        });
        this_fiber::yield();
        io::write_all(pipe.write.get(), bytes_of("x"));
        EXPECT_EQ(selector.join(), 0U);
        EXPECT_EQ(reader.join(), 1U);
        fiber<std::size_t> loser = spawn([this] { return coir::select(readable(pipe.read.get()), after(1ms)); });
        EXPECT_EQ(loser.join(), 1U); // and leaves no trace:
        fiber<void> writer = spawn([this] { io::write_all(pipe.write.get(), bytes_of("y")); });
        std::array<std::byte, 8> buffer{};
        EXPECT_EQ(io::read_some(pipe.read.get(), buffer, 10s), 1U);
    });
}

TEST_F(readiness_case, what_cannot_be_waited_for_is_an_error) {
    run([this] {
        EXPECT_EQ(thrown_by([] { coir::select(readable(-1), after(1s)); }), std::errc::bad_file_descriptor);
        fiber<void> selector = spawn([number = pipe.read.get()] { coir::select(readable(number), after(10s)); });
        this_fiber::yield();
        io::close(pipe.read.take());
        EXPECT_EQ(thrown_by([&] { selector.join(); }), std::errc::bad_file_descriptor);
    });
    EXPECT_THROW(coir::select(readable(other.read.get()), after(1ms)), std::logic_error); // without a loop
}

} // namespace
