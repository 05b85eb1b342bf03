// What happens where the machine ends: each test in a process of its own, which it spoils. The processes are executed anew
// (death_test_style), because which kind of guard there is is found out once a process.

#include "emulation.hpp"
#include "stack/guard.hpp"
#include "stack/stack_pool.hpp"

#include <coir/stack_size.hpp>

#include <gtest/gtest.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sstream>
#include <string>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <system_error>
#include <unistd.h>

namespace {

using coir::default_stack_size;
using coir::minimum_stack_size;
using coir::detail::available_guard;
using coir::detail::guard_kind;
using coir::detail::page_size;
using coir::detail::stack;
using coir::detail::stack_pool;

std::size_t mappings() {
    std::ifstream maps{"/proc/self/maps"};
    std::string line;
    std::size_t count = 0;
    while (std::getline(maps, line))
        ++count;
    return count;
}

std::size_t most_mappings() {
    std::ifstream file{"/proc/sys/vm/max_map_count"};
    std::size_t count = 0;
    file >> count;
    return count;
}

/// Lines of /proc/self/smaps about the mapping that contains `where`.
std::string description_of_mapping(const std::byte* where) {
    std::ifstream smaps{"/proc/self/smaps"};
    std::string text;
    bool inside = false;
    for (std::string line; std::getline(smaps, line);) {
        unsigned long begin = 0;
        unsigned long end = 0;
        if (std::sscanf(line.c_str(), "%lx-%lx ", &begin, &end) == 2)
            inside = begin <= reinterpret_cast<unsigned long>(where) && reinterpret_cast<unsigned long>(where) < end;
        else if (inside)
            text += line + '\n';
    }
    return text;
}

bool is_guarded(const stack& memory) {
    std::array<int, 2> ends{};
    if (::pipe2(ends.data(), O_CLOEXEC) != 0)
        return false;
    const bool faults = ::write(ends[1], "x", 1) == 1 && ::read(ends[0], memory.bottom - 1, 1) == -1 && errno == EFAULT;
    const bool usable = ::read(ends[0], memory.bottom, 1) == 1;
    ::close(ends[0]);
    ::close(ends[1]);
    return faults && usable;
}

/// As a kernel older than 6.13 does. qemu has no filters, and needs none: it accepts markers and does nothing.
bool refuse_guard_markers() {
    if (is_emulated())
        return true;
    constexpr auto advice = static_cast<unsigned>(offsetof(seccomp_data, args[2]));
    std::array<sock_filter, 6> program{{
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<unsigned>(offsetof(seccomp_data, nr))),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_madvise, 0, 3),
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, advice),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 102, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    }};
    const sock_fprog filter{static_cast<unsigned short>(program.size()), program.data()};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

class limits : public testing::Test {
protected:
    limits() { use_fresh_processes(); }
};

const testing::ExitedWithCode well{0};

/// Takes stacks until there are no more; what the error says. Empty: there are `enough`.
std::string take_all(stack_pool& pool, std::size_t enough, std::size_t& taken) {
    try {
        for (taken = 0; taken < enough; ++taken) {
            pool.promise();
            if (const stack memory = pool.allocate(nullptr); taken % 1000 == 0 && !is_guarded(memory))
                return "an unguarded stack";
        }
        return {};
    } catch (const std::system_error& error) {
        return error.code() == std::errc::not_enough_memory ? error.what() : "another error";
    }
}

bool contains(const std::string& text, const char* part) {
    return text.find(part) != std::string::npos;
}

TEST_F(limits, a_slab_is_never_backed_by_huge_pages) {
    if (is_emulated())
        GTEST_SKIP() << "qemu does not hand MADV_NOHUGEPAGE on";
    stack_pool pool{default_stack_size};
    pool.promise();
    const stack memory = pool.allocate(nullptr);
    *memory.bottom = std::byte{1};
    const std::string description = description_of_mapping(memory.bottom);
    ASSERT_TRUE(contains(description, "VmFlags:"));
    EXPECT_TRUE(contains(description, " nh")) << description;
    EXPECT_TRUE(contains(description, "AnonHugePages:         0 kB")) << description;
}

TEST_F(limits, without_markers_stacks_are_guarded_by_protection) {
    const auto test = [] {
        if (!refuse_guard_markers() || available_guard() != guard_kind::protection)
            return 1;
        stack_pool pool{default_stack_size};
        for (int i = 0; i < 600; ++i) {
            pool.promise();
            if (!is_guarded(pool.allocate(nullptr)))
                return 2;
        }
        return 0;
    };
    EXPECT_EXIT(std::_Exit(test()), well, "");
}

#if !defined(COIR_TSAN) // which makes mappings of its own, and does not survive when there can be no more

TEST_F(limits, forty_thousand_stacks_need_few_mappings) {
    if (available_guard() != guard_kind::marker)
        GTEST_SKIP() << "this kernel has no MADV_GUARD_INSTALL";
    stack_pool pool{default_stack_size};
    const std::size_t before = mappings();
    std::size_t taken = 0;
    EXPECT_EQ(take_all(pool, 40'000, taken), "");
    EXPECT_LE(mappings(), before + 200); // and not 80,000: each slab is one at most
}

TEST_F(limits, without_markers_the_number_of_mappings_is_named_when_it_ends) {
    if (most_mappings() > 100'000)
        GTEST_SKIP() << "vm.max_map_count is high";
    const auto test = [] {
        if (!refuse_guard_markers())
            return 1;
        stack_pool pool{minimum_stack_size};
        std::size_t taken = 0;
        const std::string error = take_all(pool, 60'000, taken);
        if (!contains(error, "vm.max_map_count") || !contains(error, "24 KiB") || taken < 25'000)
            return 2;
        // It is not worse afterwards: what came back can be used, more is refused again.
        pool.end_promise();
        pool.promise();
        return take_all(pool, 1, taken).empty() ? 3 : 0;
    };
    EXPECT_EXIT(std::_Exit(test()), well, "");
}

#endif

#if !defined(COIR_ASAN) &&                                                                                             \
    !defined(COIR_TSAN) // whose shadow is far larger than any limit, and does not survive being locked

TEST_F(limits, address_space_is_named_when_it_ends) {
    if (is_emulated())
        GTEST_SKIP() << "qemu does not hand RLIMIT_AS on, which would be its own limit as well";
    const auto test = [] {
        stack_pool pool{default_stack_size};
        const rlimit limit{std::size_t{200} << 20, std::size_t{200} << 20};
        if (::setrlimit(RLIMIT_AS, &limit) != 0)
            return 1;
        std::size_t taken = 0;
        const std::string error = take_all(pool, 10'000, taken);
        if (!contains(error, "address space") || !contains(error, "ulimit -v") || taken < 500)
            return 2;
        // The pool still works for those who have a stack, and for those who come after one of them.
        pool.end_promise();
        pool.promise();
        return 0;
    };
    EXPECT_EXIT(std::_Exit(test()), well, "");
}

// So many promises as can be kept; also when there has been more room before.
TEST_F(limits, address_space_that_ends_is_told_to_who_wants_a_promise) {
    if (is_emulated())
        GTEST_SKIP() << "qemu does not hand RLIMIT_AS on, which would be its own limit as well";
    const auto test = [](std::size_t used_before) {
        stack_pool pool{default_stack_size};
        std::array<stack, 600> all{};
        for (std::size_t i = 0; i < used_before; ++i) {
            pool.promise();
            all.at(i) = pool.allocate(nullptr);
        }
        for (std::size_t i = 0; i < used_before; ++i) {
            pool.deallocate(all.at(i).bottom);
            pool.end_promise();
        }
        while (pool.trim(0, 64)) {}
        pool.promise();
        const rlimit limit{1 << 20, 1 << 20}; // less than there is
        if (::setrlimit(RLIMIT_AS, &limit) != 0)
            return 1;
        std::size_t promised = 1;
        try {
            for (; promised < 10'000; ++promised)
                pool.promise();
            return 2;
        } catch (const std::system_error&) {}
        if (promised >= all.size()) // what has been unmapped cannot be had again
            return 3;
        for (; promised > 0; --promised)
            (void)pool.allocate(nullptr);
        return 0;
    };
    EXPECT_EXIT(std::_Exit(test(0)), well, "");
    EXPECT_EXIT(std::_Exit(test(600)), well, "");
}

/// Why all memory cannot be locked here; empty: it can. What may be locked without a privilege (RLIMIT_MEMLOCK, 8 MiB on most
/// systems) is less than the programs and the first slab have.
std::string why_not_lockable() {
    if (::mlockall(MCL_CURRENT) == 0) {
        ::munlockall();
        return {};
    }
    return std::string{"mlockall: "} + std::strerror(errno) + ", see ulimit -l";
}

TEST_F(limits, locked_memory_is_guarded) {
    if (const std::string reason = why_not_lockable(); !reason.empty())
        GTEST_SKIP() << reason;
    const auto test = [] {
        if (::mlockall(MCL_FUTURE) != 0)
            return 1;
        stack_pool pool{minimum_stack_size};
        for (int i = 0; i < 300; ++i) {
            pool.promise();
            if (!is_guarded(pool.allocate(nullptr)))
                return 2;
        }
        return 0;
    };
    EXPECT_EXIT(std::_Exit(test()), well, "");
}

TEST_F(limits, memory_that_is_locked_later_is_guarded) {
    if (const std::string reason = why_not_lockable(); !reason.empty())
        GTEST_SKIP() << reason;
    const auto test = [] {
        stack_pool pool{minimum_stack_size};
        pool.promise();
        if (!is_guarded(pool.allocate(nullptr))) // now the kind of guard is known, and a slab mapped
            return 1;
        if (::mlockall(MCL_CURRENT) != 0)
            return 2;
        for (int i = 0; i < 200; ++i) {
            pool.promise();
            if (!is_guarded(pool.allocate(nullptr)))
                return 3;
        }
        return 0;
    };
    EXPECT_EXIT(std::_Exit(test()), well, "");
}

#endif

// A process that is out of descriptors at the moment of the first spawn must not do with 32,000 stacks for ever.
TEST_F(limits, the_probe_needs_no_descriptor) {
    const auto test = [] {
        void* page = ::mmap(nullptr, page_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        const bool markers = ::madvise(page, page_size(), 102) == 0 && !is_emulated();
        const rlimit none{0, 0};
        if (::setrlimit(RLIMIT_NOFILE, &none) != 0)
            return 1;
        return markers == (available_guard() == guard_kind::marker) ? 0 : 2;
    };
    EXPECT_EXIT(std::_Exit(test()), well, "");
}

} // namespace
