#pragma once

#include "stack/stack_pool.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

namespace coir::detail {

/// One stack_pool for each size in use. The first is the default size, and nearly always the only one.
class stack_pools {
public:
    /// As the constructor of stack_pool, for the default size; the others get the same guards.
    explicit stack_pools(std::size_t default_size, std::size_t guard = 0, const owner_description* owners = nullptr)
        : guard_(guard), owners_(owners) {
        pools_.push_back(std::make_unique<stack_pool>(default_size, guard, owners));
    }

    [[nodiscard]] stack_pool& of_default_size() noexcept { return *pools_.front(); }

    /// The pool for stacks of `size` bytes. Throws as stack_pool does.
    [[nodiscard]] stack_pool& of_size(std::size_t size) {
        const stack_geometry geometry = stack_geometry::of(size, guard_);
        for (const auto& pool : pools_)
            if (pool->geometry().bytes == geometry.bytes)
                return *pool;
        return *pools_.emplace_back(std::make_unique<stack_pool>(size, guard_, owners_));
    }

    /// As in stack_pool, for all.
    [[nodiscard]] bool exceed(std::size_t keep) const noexcept {
        return std::ranges::any_of(pools_, [keep](const auto& pool) { return pool->exceeds(keep); });
    }
    bool trim(std::size_t keep, std::size_t batch) noexcept {
        bool more = false;
        for (const auto& pool : pools_)
            more = pool->trim(keep, batch) || more;
        return more;
    }
    std::int64_t trim_idle(std::int64_t now, std::size_t keep, std::size_t batch) noexcept {
        std::int64_t next = surplus::never;
        for (const auto& pool : pools_)
            next = std::min(next, pool->trim_idle(now, keep, batch));
        return next;
    }

private:
    std::size_t guard_;
    const owner_description* owners_;
    std::vector<std::unique_ptr<stack_pool>> pools_;
};

} // namespace coir::detail
