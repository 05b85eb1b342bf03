#pragma once

#include <boost/fiber/fiber.hpp>
#include <boost/fiber/operations.hpp>
#include <boost/fiber/pooled_fixedsize_stack.hpp>
#include <coir/fiber.hpp>
#include <coir/this_fiber.hpp>

#include <memory>
#include <utility>

/// What the rows about synchronisation need of fibers, under the same names for both libraries. Both are as they come, but
/// Boost.Fiber gets its pool of stacks, which is faster.

struct by_coir {
    using fiber = coir::fiber<void>;
    static void yield() { coir::this_fiber::yield(); }
    template <class Function> static fiber spawn(Function&& function) {
        return coir::spawn(std::forward<Function>(function));
    }
};

struct by_boost {
    using fiber = boost::fibers::fiber;
    static void yield() { boost::this_fiber::yield(); }
    template <class Function> static fiber spawn(Function&& function) {
        static const boost::fibers::pooled_fixedsize_stack stacks;
        return fiber{std::allocator_arg, boost::fibers::pooled_fixedsize_stack{stacks},
                     std::forward<Function>(function)};
    }
};
