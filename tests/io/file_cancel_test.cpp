// Deadlines and cancellations of operations on files: before they begin, and while the system is in the middle of them, when
// nobody may leave who has lent it memory.
#include <coir/file.hpp>

#include "files.hpp"

#include <coir/cancel_scope.hpp>
#include <coir/cancelled.hpp>
#include <coir/fiber.hpp>
#include <coir/file_system.hpp>
#include <coir/this_fiber.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <memory>
#include <string>
#include <sys/uio.h>
#include <vector>

namespace coir::test {
namespace {

using io::file;
using io::open_mode;
using namespace std::chrono_literals;

constexpr open_mode fresh = open_mode::read | open_mode::write | open_mode::create | open_mode::exclusive;

using file_cancellation = files;
COIR_TEST_BY_BOTH(file_cancellation);

TEST_P(file_cancellation, a_deadline_that_has_passed_starts_nothing) {
    fill(path(), "cached");
    coir::run([this] {
        for (const deadline passed : {deadline::passed(), deadline{-1s}}) {
            const auto timed_out = std::errc::timed_out;
            EXPECT_EQ(thrown_by([&] { file{path("new"), fresh, io::default_permissions, passed}; }), timed_out);
            EXPECT_FALSE(std::filesystem::exists(path("new")));
            EXPECT_EQ(thrown_by([&] { io::remove(path(), passed); }), timed_out);
            EXPECT_EQ(thrown_by([&] { (void)io::list_directory(path("."), passed); }), timed_out);
            file opened{path(), open_mode::read | open_mode::write};
            EXPECT_EQ(thrown_by([&] { opened.write_at(bytes_of("x"), 0, passed); }), timed_out);
            EXPECT_EQ(thrown_by([&] { opened.sync(passed); }), timed_out);
            EXPECT_EQ(thrown_by([&] { (void)opened.size(passed); }), timed_out);
            EXPECT_EQ(contents_of(path()), "cached");
        }
    });
}

TEST_P(file_cancellation, what_is_in_the_page_cache_is_read_whatever_the_deadline) {
    fill(path(), "cached");
    coir::run([this] {
        const file opened{path()};
        std::array<std::byte, 6> buffer{};
        (void)opened.read_all_at(buffer, 0);
        const ::iovec piece{buffer.data(), buffer.size()};
        if (::preadv2(opened.native_handle(), &piece, 1, 0, RWF_NOWAIT) != 6)
            GTEST_SKIP() << "this file system cannot tell what is in the page cache";
        EXPECT_EQ(opened.read_all_at(buffer, 0, deadline::passed()), 6U);
    });
}

TEST_P(file_cancellation, a_cancelled_fiber_starts_nothing) {
    fill(path(), "before");
    coir::run([this] {
        file opened{path(), open_mode::read | open_mode::write};
        cancel_scope scope;
        scope.cancel();
        scope.run([&] {
            const auto canceled = std::errc::operation_canceled;
            std::array<std::byte, 6> buffer{};
            EXPECT_EQ(error_of([&](auto& error) { opened.read_at(buffer, 0, error); }), canceled);
            EXPECT_EQ(error_of([&](auto& error) { opened.write_all_at(bytes_of("after!"), 0, error); }), canceled);
            EXPECT_EQ(error_of([&](auto& error) { opened.truncate(0, error); }), canceled);
            EXPECT_EQ(error_of([&](auto& error) { (void)file::open(path("new"), fresh, error); }), canceled);
            EXPECT_EQ(error_of([&](auto& error) { io::remove(path(), error); }), canceled);
            EXPECT_EQ(error_of([&](auto& error) { (void)io::list_directory(path("."), error); }), canceled);
            opened.close(); // not prevented
            EXPECT_FALSE(opened);
            EXPECT_THROW((void)io::status(path()), cancelled);
        });
        EXPECT_EQ(contents_of(path()), "before");
        EXPECT_FALSE(std::filesystem::exists(path("new")));
    });
}

// Asked for and taken back before the loop has looked; the memory is free at once.
TEST_P(file_cancellation, what_has_not_begun_never_does) {
    coir::run([this] {
        file made{path(), fresh};
        // Threads begin at once: all of them are kept busy first.
        std::vector<std::unique_ptr<stalling_memory>> memory;
        std::vector<coir::fiber<void>> busy;
        for (int i = 0; by_threads() && i < 16; ++i) {
            memory.push_back(std::make_unique<stalling_memory>());
            if (!memory.back()->stalls())
                GTEST_SKIP() << no_stalling_memory;
            busy.push_back(spawn([this, i, &lent = *memory.back()] {
                file{path(std::to_string(i)), fresh}.write_at(lent.bytes(), 0);
            }));
            memory.back()->wait_until_touched();
        }
        bool was_cancelled = false;
        {
            auto writer = spawn([&] {
                auto text = std::make_unique<std::string>("never written");
                try {
                    made.write_at(bytes_of(*text), 1'000'000);
                } catch (const cancelled&) {
                    was_cancelled = true;
                }
            });
            this_fiber::yield();
        }
        EXPECT_TRUE(was_cancelled);
        for (const auto& each : memory)
            each->release();
        for (auto& each : busy)
            each.join();
        EXPECT_LT(made.size(), 1'000'000U);
    });
}

TEST_P(file_cancellation, who_has_lent_memory_stays_until_the_read_has_ended) {
    const std::string text = pattern(stalling_memory::size);
    fill(path(), text);
    coir::run([&] {
        const stalling_memory memory;
        if (!memory.stalls())
            GTEST_SKIP() << no_stalling_memory;
        bool has_returned = false;
        std::size_t moved = 0;
        bool then_cancelled = false;
        std::error_code error;
        auto reader = spawn([&] {
            const file opened{path()};
            moved = opened.read_at(memory.bytes(), 0, error);
            has_returned = true;
            try {
                this_fiber::sleep_for(1h);
            } catch (const cancelled&) {
                then_cancelled = true;
            }
        });
        memory.wait_until_touched();
        reader.cancel();
        this_fiber::sleep_for(1ms); // polls, so io_uring has been asked to cancel
        EXPECT_FALSE(has_returned);
        memory.release();
        reader.join();
        // Carried out, as a whole or in part; or given up by the kernel before any byte.
        EXPECT_TRUE(error ? error == std::errc::operation_canceled : moved > 0) << error;
        EXPECT_TRUE(text_of(memory.bytes().first(moved)) == text.substr(0, moved));
        EXPECT_TRUE(then_cancelled);
    });
}

TEST_P(file_cancellation, a_write_that_has_begun_is_carried_out) {
    coir::run([this] {
        const stalling_memory memory;
        if (!memory.stalls())
            GTEST_SKIP() << no_stalling_memory;
        file made{path(), fresh};
        std::size_t moved = 0;
        std::error_code error;
        bool has_returned = false;
        coir::deadline until;
        const auto start = [&] {
            until = coir::deadline{20ms};
            has_returned = false;
            return spawn([&] {
                moved = made.write_at(memory.bytes(), 0, error, until);
                has_returned = true;
            });
        };
        coir::fiber<void> writer = start();
        while (!memory.is_touched_before(coir::deadline{1ms}))
            if (has_returned) // on a busy machine the deadline passes before it has begun: then nothing has happened
                writer = start();
        this_fiber::sleep_until(until);
        this_fiber::yield();
        EXPECT_FALSE(has_returned);
        memory.release();
        writer.join();
        EXPECT_TRUE(!error || error == std::errc::timed_out) << error;
        EXPECT_EQ(made.size(), moved); // nothing lost, nothing invented
    });
}

TEST_P(file_cancellation, a_transfer_in_several_steps_says_how_far_it_has_got) {
    coir::run([this] {
        const stalling_memory memory;
        if (!memory.stalls())
            GTEST_SKIP() << no_stalling_memory;
        file made{path(), fresh};
        const std::string text = pattern(100);
        // More pieces than one system call takes; the last are the memory that stalls.
        std::vector<io::const_buffer> pieces(64, {text.data(), text.size()});
        pieces.push_back({memory.bytes().data(), memory.bytes().size()});
        pieces.resize(64 + 64, {text.data(), text.size()});
        pieces.push_back({text.data(), text.size()});
        std::size_t moved = 0;
        auto writer = spawn([&] {
            try {
                made.writev_at(pieces, 0);
                ADD_FAILURE() << "not cancelled";
            } catch (const io::transfer_cancelled& failure) {
                moved = failure.bytes_transferred();
            }
        });
        memory.wait_until_touched();
        writer.cancel();
        memory.release();
        writer.wait();
        EXPECT_GE(moved, 6'400U);
        EXPECT_EQ(made.size(), moved);
    });
}

TEST_P(file_cancellation, closing_a_file_that_others_use) {
    const std::string text = pattern(stalling_memory::size);
    fill(path(), text);
    coir::run([&] {
        const stalling_memory memory;
        if (!memory.stalls())
            GTEST_SKIP() << no_stalling_memory;
        file opened{path()};
        const int number = opened.native_handle();
        auto reader = spawn([&] { EXPECT_EQ(opened.read_all_at(memory.bytes(), 0), text.size()); });
        memory.wait_until_touched();
        opened.close();
        EXPECT_FALSE(opened);
        EXPECT_NE(::fcntl(number, F_GETFD), -1); // it is still the file that is read
        const file other{path(), open_mode::write};
        EXPECT_NE(other.native_handle(), number);
        memory.release();
        reader.join();
        EXPECT_TRUE(text_of(memory.bytes()) == text);
        EXPECT_EQ(::fcntl(number, F_GETFD), -1);
    });
}

// Somebody else has a lease on the file, and has 45 seconds to give it back.
TEST_P(file_cancellation, opening_waits_for_a_lease_and_can_be_given_up) {
    fill(path(), "leased");
    std::signal(SIGIO, SIG_IGN);
    const raw holder{::open(path().c_str(), O_RDONLY | O_CLOEXEC)};
    if (::fcntl(holder.get(), F_SETLEASE, F_RDLCK) != 0)
        GTEST_SKIP() << "this file system has no leases";
    coir::run([&] {
        std::error_code error;
        file opened;
        auto opener = spawn([&] { opened = file::open(path(), open_mode::write, error); });
        while (::fcntl(holder.get(), F_GETLEASE) == F_RDLCK)
            this_fiber::sleep_for(100us);
        if (by_threads()) { // which cannot be interrupted
            ::fcntl(holder.get(), F_SETLEASE, F_UNLCK);
            opener.join();
            EXPECT_FALSE(error);
            EXPECT_EQ(opened.size(), 6U);
            return;
        }
        this_fiber::sleep_for(1ms);
        opener.cancel();
        opener.wait();
        EXPECT_EQ(error, std::errc::operation_canceled);
        EXPECT_FALSE(opened);
        ::fcntl(holder.get(), F_SETLEASE, F_UNLCK);
    });
    std::signal(SIGIO, SIG_DFL);
}

// A storm of deadlines that come at any moment: every operation is either carried out or not, and says which.
TEST_P(file_cancellation, deadlines_at_any_moment) {
    coir::run([this] {
        file made{path(), fresh};
        std::vector<coir::fiber<void>> all;
        int written = 0;
        for (int i = 0; i < 200; ++i)
            all.push_back(spawn([&, i] {
                const std::string text(500, 'x');
                std::error_code error;
                const auto place = static_cast<std::uint64_t>(i) * 500;
                const std::size_t moved = made.write_at(bytes_of(text), place, error, std::chrono::microseconds{i * 5});
                EXPECT_TRUE(error ? error == std::errc::timed_out && moved == 0 : moved == 500);
                written += error ? 0 : 1;
            }));
        for (auto& each : all)
            each.join();
        const std::string text = contents_of(path());
        EXPECT_EQ(std::count(text.begin(), text.end(), 'x'), written * 500);
    });
}

TEST_P(file_cancellation, run_waits_for_what_has_begun) {
    coir::run([this] {
        for (int i = 0; i < 10; ++i)
            spawn([this, i] {
                file made{path(std::to_string(i)), fresh};
                for (;;) {
                    made.write_all_at(bytes_of("x"), 0);
                    made.sync();
                }
            }).detach();
        this_fiber::sleep_for(1ms);
    });
}

} // namespace
} // namespace coir::test
