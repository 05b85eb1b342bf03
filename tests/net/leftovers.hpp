#pragma once

#include "io/descriptors.hpp"

#include <coir/run.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <cstdlib>
#include <malloc.h>

/// Whether memory and descriptors are after it what they were before.
namespace coir::test {

/// Needs GLIBC_TUNABLES=glibc.malloc.tcache_count=0, since the C library counts what a thread has in its cache as given away.
class leftovers : public testing::Test {
protected:
    void SetUp() override {
        if (!std::getenv("GLIBC_TUNABLES"))
            GTEST_SKIP() << "run it by `meson test`, which sets GLIBC_TUNABLES";
    }

    /// Calls `round` until there is what is made only once, then more often, each time in a loop of its own.
    template <class Round> void expect_none_of(Round round) {
        repeat(5, round);
        const std::size_t descriptors_before = open_descriptors();
        const std::size_t bytes_before = allocated_bytes();
        repeat(20, round);
        EXPECT_EQ(open_descriptors(), descriptors_before);
        EXPECT_LE(allocated_bytes(), bytes_before) << "leaked, or kept";
    }

private:
    template <class Round> static void repeat(int times, Round& round) {
        for (int i = 0; i < times; ++i)
            coir::run(round);
    }

    /// That malloc() has given away; always 0 under sanitizers, which have an allocator of their own.
    static std::size_t allocated_bytes() {
        const struct mallinfo2 all = ::mallinfo2();
        return all.uordblks + all.hblkhd;
    }
};

} // namespace coir::test
