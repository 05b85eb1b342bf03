#include "base/throw_cancelled.hpp"

#include <coir/cancelled.hpp>
#include <coir/transfer_cancelled.hpp>

#include <gtest/gtest.h>

#include <exception>
#include <functional>
#include <future>
#include <istream>
#include <memory>
#include <ostream>
#include <stdexcept>
#include <streambuf>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#if defined(__GLIBCXX__)
#include <cxxabi.h>
#endif

namespace {

using coir::cancelled;
using coir::detail::throw_cancelled;
using coir::detail::throw_transfer_cancelled;
using coir::io::transfer_cancelled;

/// Counts how many of them end in the course of unwinding.
struct unwinding_counter {
    explicit unwinding_counter(int& count) : count_(count) {}
    ~unwinding_counter() { count_ += std::uncaught_exceptions(); }
    unwinding_counter(const unwinding_counter&) = delete;
    unwinding_counter& operator=(const unwinding_counter&) = delete;

private:
    int& count_;
};

TEST(cancelled, is_caught_by_its_type) {
    EXPECT_THROW(throw_cancelled(), cancelled);
    try {
        throw_cancelled();
    } catch (const cancelled& caught) {
        EXPECT_STREQ(caught.what(), "coir: cancelled");
    }
}

TEST(cancelled, is_no_std_exception) {
    bool passed = false;
    try {
        try {
            throw_cancelled();
        } catch (const std::exception&) {
            FAIL();
        }
    } catch (...) {
        passed = true;
    }
    EXPECT_TRUE(passed);
}

TEST(cancelled, runs_destructors_which_see_that_an_exception_unwinds_them) {
    int unwinding = 0;
    try {
        const unwinding_counter first{unwinding};
        const unwinding_counter second{unwinding};
        throw_cancelled();
    } catch (const cancelled&) {
        EXPECT_EQ(unwinding, 2);
        EXPECT_EQ(std::uncaught_exceptions(), 0);
    }
    EXPECT_EQ(std::uncaught_exceptions(), 0);
    EXPECT_EQ(std::current_exception(), nullptr);
}

TEST(cancelled, is_over_when_catch_all_does_not_rethrow) {
    try {
        throw_cancelled();
    } catch (...) { // legal, if unwise: the code just goes on
    }
    EXPECT_EQ(std::uncaught_exceptions(), 0);
    EXPECT_EQ(std::current_exception(), nullptr);
}

TEST(cancelled, can_be_rethrown) {
    int handlers = 0;
    try {
        try {
            try {
                throw_cancelled();
            } catch (...) {
                ++handlers;
                throw;
            }
        } catch (const cancelled&) {
            ++handlers;
            throw;
        }
    } catch (const cancelled& caught) {
        ++handlers;
        EXPECT_STREQ(caught.what(), "coir: cancelled");
    }
    EXPECT_EQ(handlers, 3);
}

TEST(cancelled, can_be_thrown_inside_another_handler) {
    try {
        throw std::runtime_error("first");
    } catch (const std::runtime_error& first) {
        try {
            try {
                throw_cancelled();
            } catch (...) {
                throw;
            }
        } catch (const cancelled&) {
            EXPECT_THROW(throw_cancelled(), cancelled); // and inside its own
        }
        EXPECT_STREQ(first.what(), "first");
    }
    EXPECT_EQ(std::current_exception(), nullptr);
}

TEST(cancelled, travels_in_an_exception_ptr) {
    std::exception_ptr held;
    try {
        throw_cancelled();
    } catch (...) {
        held = std::current_exception();
    }
    ASSERT_NE(held, nullptr);
    for (int i = 0; i < 3; ++i)
        EXPECT_THROW(std::rethrow_exception(held), cancelled);
    std::thread([&] { EXPECT_THROW(std::rethrow_exception(held), cancelled); }).join();
    EXPECT_EQ(std::uncaught_exceptions(), 0);
}

TEST(cancelled, can_be_nested_in_another_exception) {
    try {
        try {
            throw_cancelled();
        } catch (...) {
            std::throw_with_nested(std::runtime_error("outer"));
        }
    } catch (const std::runtime_error& outer) {
        EXPECT_THROW(std::rethrow_if_nested(outer), cancelled);
    }
}

TEST(cancelled, is_not_copied_when_it_is_thrown_many_times) {
    std::exception_ptr last;
    for (int i = 0; i < 10'000; ++i) {
        try {
            throw_cancelled();
        } catch (...) {
            last = std::current_exception();
        }
    }
    EXPECT_THROW(std::rethrow_exception(last), cancelled);
}

TEST(cancelled, an_ordinary_throw_of_it_is_caught_as_well) {
    EXPECT_THROW(throw cancelled{}, cancelled);
}

TEST(transfer_cancelled, is_caught_by_its_type_and_as_cancelled_and_says_how_far_it_got) {
    EXPECT_THROW(throw_transfer_cancelled(7), transfer_cancelled);
    try {
        throw_transfer_cancelled(7);
    } catch (const cancelled& caught) {
        EXPECT_STREQ(caught.what(), "coir: cancelled in the middle of a transfer");
        EXPECT_EQ(dynamic_cast<const transfer_cancelled&>(caught).bytes_transferred(), 7U);
    }
    std::exception_ptr held;
    try {
        throw_transfer_cancelled(7);
    } catch (const std::exception&) {
        FAIL();
    } catch (...) {
        held = std::current_exception();
    }
    EXPECT_TRUE(coir::detail::is_cancelled(held));
    EXPECT_THROW(std::rethrow_exception(held), transfer_cancelled);
    EXPECT_THROW(std::rethrow_exception(held), cancelled);
    EXPECT_THROW(throw transfer_cancelled{7}, cancelled);
}

TEST(transfer_cancelled, is_not_what_catches_a_plain_one) {
    try {
        throw_cancelled();
    } catch (const transfer_cancelled&) {
        FAIL();
    } catch (const cancelled&) {}
}

#if defined(__GLIBCXX__)

/// A file, a pipe, a socket: a streambuf whose transfers are cancelled.
struct cancelling_buffer : std::streambuf {
    int_type overflow(int_type /*character*/) override { throw_cancelled(); }
    int_type underflow() override { throw_cancelled(); }
    int sync() override { throw_cancelled(); }
};

// libstdc++ catches what a streambuf throws, sets badbit and goes on; a cancelled fiber would run on (hazard A4).
TEST(cancelled, passes_through_output_streams) {
    cancelling_buffer buffer;
    std::ostream stream{&buffer};
    EXPECT_THROW(stream << "text", cancelled);
    EXPECT_THROW((std::ostream{&buffer} << 42), cancelled);
    EXPECT_THROW((std::ostream{&buffer} << 1.5), cancelled);
    EXPECT_THROW((std::ostream{&buffer} << std::string("text")), cancelled);
    EXPECT_THROW(std::ostream{&buffer}.put('x'), cancelled);
    EXPECT_THROW(std::ostream{&buffer}.write("text", 4), cancelled);
    EXPECT_THROW(std::ostream{&buffer}.flush(), cancelled);
    EXPECT_EQ(std::uncaught_exceptions(), 0);
}

TEST(transfer_cancelled, passes_through_library_code_as_well) {
    struct cut_short : std::streambuf {
        int_type overflow(int_type /*character*/) override { throw_transfer_cancelled(7); }
    } buffer;
    EXPECT_THROW((std::ostream{&buffer} << "text"), transfer_cancelled);
    std::packaged_task<void()> task{[] { throw_transfer_cancelled(7); }};
    EXPECT_THROW(task(), cancelled);
    EXPECT_EQ(std::uncaught_exceptions(), 0);
}

TEST(cancelled, passes_through_input_streams) {
    cancelling_buffer buffer;
    int number = 0;
    std::string text;
    char character = 0;
    EXPECT_THROW((std::istream{&buffer} >> number), cancelled);
    EXPECT_THROW((std::istream{&buffer} >> text), cancelled);
    EXPECT_THROW((std::getline(std::istream{&buffer}, text)), cancelled);
    EXPECT_THROW(std::istream{&buffer}.get(), cancelled);
    EXPECT_THROW(std::istream{&buffer}.read(&character, 1), cancelled);
}

TEST(cancelled, passes_through_a_packaged_task) {
    std::packaged_task<void()> task{[] { throw_cancelled(); }};
    EXPECT_THROW(task(), cancelled);
    EXPECT_EQ(std::uncaught_exceptions(), 0);
}

TEST(cancelled, passes_through_a_deferred_async) {
    std::future<int> result = std::async(std::launch::deferred, []() -> int { throw_cancelled(); });
    EXPECT_THROW(result.get(), cancelled);
}

TEST(cancelled, passes_through_containers_and_functions) {
    struct cancels_when_copied {
        explicit cancels_when_copied(std::shared_ptr<int> left) : copies_left(std::move(left)) {}
        cancels_when_copied(const cancels_when_copied& other) : copies_left(other.copies_left) {
            if (--*copies_left < 0)
                throw_cancelled();
        }
        cancels_when_copied& operator=(const cancels_when_copied&) = default;
        ~cancels_when_copied() = default;
        std::shared_ptr<int> copies_left;
    };
    const auto copies_left = std::make_shared<int>(5);
    const cancels_when_copied original{copies_left};
    std::vector<cancels_when_copied> copies;
    EXPECT_THROW(copies.assign(10, original), cancelled);
    EXPECT_EQ(copies_left.use_count(), 2); // what had been copied is gone again

    const std::function<void()> function = [] { throw_cancelled(); };
    EXPECT_THROW(function(), cancelled);
}

TEST(cancelled, counts_as_a_forced_unwind_for_those_who_know_one) {
    bool noticed = false;
    try {
        try {
            throw_cancelled();
        } catch (const abi::__forced_unwind&) {
            noticed = true;
            throw;
        } catch (...) {
            FAIL();
        }
    } catch (const cancelled&) {}
    EXPECT_TRUE(noticed);
}

#endif

} // namespace
