#pragma once

#include <coir/detail/fiber_base.hpp>
#include <coir/detail/kept_result.hpp>
#include <coir/detail/single_use.hpp>

#include <type_traits>
#include <utility>

namespace coir::detail {

/// A fiber whose function returns a T, as a fiber<T> sees it. The result is there once the function has ended.
template <class T> struct fiber_result : fiber_base, kept_result<T> {
    void discard_result() noexcept override { this->discard(); }
};

/// A function of the library that has a give_up() of its own.
struct can_be_given_up {};

/// The whole fiber: result and function. The function is destroyed on the fiber's own stack, as soon as it has ended.
template <class T, class Work> struct fiber_task final : fiber_result<T> {
    template <class... Arguments>
    explicit fiber_task(Arguments&&... arguments) : work(std::forward<Arguments>(arguments)...) {}

    void call() override {
        const typename single_use<Work>::call now{work};
        this->keep_result_of(now.function());
    }

    void give_up([[maybe_unused]] bool in_child) noexcept override {
        if constexpr (std::is_base_of_v<can_be_given_up, Work>)
            if (!this->finished)
                (*work).give_up(in_child);
    }

    single_use<Work> work;
};

} // namespace coir::detail
