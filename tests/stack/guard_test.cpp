#include "child_process.hpp"
#include "stack/guard.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstdlib>
#include <fcntl.h>
#include <sys/mman.h>
#include <system_error>
#include <unistd.h>

namespace {

using coir::detail::available_guard;
using coir::detail::guard_kind;
using coir::detail::install_guard;
using coir::detail::page_size;

/// Three pages; the guard is to be the middle one.
class memory : public testing::Test {
protected:
    memory() {
        void* mapped = ::mmap(nullptr, 3 * page_size(), PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK | MAP_NORESERVE, -1, 0);
        if (mapped == MAP_FAILED)
            std::abort();
        below = static_cast<std::byte*>(mapped);
        middle = below + page_size();
        above = middle + page_size();
    }
    ~memory() override { ::munmap(below, 3 * page_size()); }
    memory(const memory&) = delete;
    memory& operator=(const memory&) = delete;

    std::byte* below;
    std::byte* middle;
    std::byte* above;
};

class guard : public memory, public testing::WithParamInterface<guard_kind> {
protected:
    void install() { ASSERT_FALSE(install_guard(middle, GetParam())); }
};

void touch(std::byte* where) {
    *static_cast<volatile std::byte*>(where) = std::byte{1};
}

bool touching_faults(std::byte* where) {
    return in_child([=] {
               touch(where);
               return true;
           })
        .was_killed_by(SIGSEGV);
}

TEST(available_guard, is_the_same_each_time) {
    EXPECT_EQ(available_guard(), available_guard());
}

TEST(available_guard, leaves_no_descriptor_and_no_errno_behind) {
    const auto end = in_child([] {
        const int before = ::dup(0);
        ::close(before);
        errno = E2BIG;
        (void)available_guard();
        const int after = ::dup(0);
        return before == after && errno == E2BIG;
    });
    EXPECT_TRUE(end.exited_well());
}

// qemu's user mode accepts advice that it does not know, and does nothing (hazard C3): the answer of madvise proves nothing.
TEST_F(memory, whose_marker_is_accepted_and_does_nothing_gets_protection) {
    if (::madvise(middle, page_size(), 102) != 0) // MADV_GUARD_INSTALL
        GTEST_SKIP() << "this kernel does not know the marker, and says so";
    if (touching_faults(middle))
        GTEST_SKIP() << "this kernel does as it says";
    EXPECT_EQ(available_guard(), guard_kind::protection);
    ASSERT_FALSE(install_guard(middle, available_guard()));
    EXPECT_TRUE(touching_faults(middle));
    EXPECT_FALSE(touching_faults(above));
}

TEST_P(guard, faults_on_every_byte) {
    install();
    EXPECT_TRUE(touching_faults(middle));
    EXPECT_TRUE(touching_faults(middle + page_size() / 2));
    EXPECT_TRUE(touching_faults(above - 1));
}

TEST_P(guard, faults_when_it_is_read) {
    install();
    const auto end = in_child([this] { return *static_cast<volatile std::byte*>(middle) == std::byte{0}; });
    EXPECT_TRUE(end.was_killed_by(SIGSEGV));
}

TEST_P(guard, leaves_its_neighbours_alone) {
    touch(middle - 1);
    touch(above);
    install();
    EXPECT_EQ(*(middle - 1), std::byte{1});
    EXPECT_EQ(*above, std::byte{1});
    touch(below);
    touch(above + page_size() - 1);
}

TEST_P(guard, makes_a_system_call_into_it_fail_with_EFAULT) {
    install();
    std::array<int, 2> ends{};
    ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    ASSERT_EQ(::write(ends[1], "x", 1), 1);
    EXPECT_EQ(::read(ends[0], above - 1, 1), -1);
    EXPECT_EQ(errno, EFAULT);
    EXPECT_EQ(::read(ends[0], above, 1), 1);
    ::close(ends[0]);
    ::close(ends[1]);
}

TEST_P(guard, stays_when_memory_is_given_back) {
    install();
    ASSERT_EQ(::madvise(above, page_size(), MADV_DONTNEED), 0);
    EXPECT_TRUE(touching_faults(middle));
}

TEST_P(guard, can_be_installed_twice) {
    install();
    install();
    EXPECT_TRUE(touching_faults(middle));
}

TEST_P(guard, works_on_a_page_that_was_in_use) {
    touch(middle);
    install();
    EXPECT_TRUE(touching_faults(middle));
}

TEST_P(guard, works_on_locked_memory) {
    const auto end = in_child([this] {
        if (::mlock(below, 3 * page_size()) != 0)
            return false;
        if (install_guard(middle, GetParam()))
            return false;
        std::array<int, 2> ends{};
        return ::pipe(ends.data()) == 0 && ::write(ends[1], "x", 1) == 1 && ::read(ends[0], middle, 1) == -1 &&
               errno == EFAULT;
    });
    EXPECT_TRUE(end.exited_well());
}

TEST_P(guard, is_reported_where_there_is_nothing_to_guard) {
    ASSERT_EQ(::munmap(middle, page_size()), 0);
    const std::error_code error = install_guard(middle, GetParam());
    EXPECT_EQ(error, std::errc::not_enough_memory); // what mprotect says of a hole
}

INSTANTIATE_TEST_SUITE_P(kinds, guard, testing::Values(available_guard(), guard_kind::protection),
                         [](const auto& info) { return info.index == 0 ? "available" : "protection"; });

} // namespace
