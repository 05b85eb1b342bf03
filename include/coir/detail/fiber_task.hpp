#pragma once

#include <coir/detail/fiber_base.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <utility>

namespace coir::detail {

/// A fiber whose function returns a T: what a fiber<T> knows of it. The value is there from the end of the function.
template <class T> struct fiber_result : fiber_base {
    std::optional<T> value;
    template <class Work> void keep_result_of(Work&& work) { value.emplace(std::invoke(std::forward<Work>(work))); }
    void discard_result() noexcept override { value.reset(); }
    T take() { return std::move(*value); }
};

template <class T> struct fiber_result<T&> : fiber_base {
    T* value = nullptr;
    template <class Work> void keep_result_of(Work&& work) {
        value = std::addressof(std::invoke(std::forward<Work>(work)));
    }
    void discard_result() noexcept override {}
    T& take() { return *value; }
};

template <> struct fiber_result<void> : fiber_base {
    template <class Work> void keep_result_of(Work&& work) { std::invoke(std::forward<Work>(work)); }
    void discard_result() noexcept override {}
    void take() {}
};

/// Destroys a function as soon as it has ended, in whatever way.
template <class Work> struct destroy_at_end {
    std::optional<Work>& work;
    ~destroy_at_end() { work.reset(); }
};

/// The whole fiber: result, and what it does. The latter is destroyed on the fiber's own stack, as soon as it has ended.
template <class T, class Work> struct fiber_task final : fiber_result<T> {
    template <class... Arguments>
    explicit fiber_task(Arguments&&... arguments) : work(std::in_place, std::forward<Arguments>(arguments)...) {}

    void call() override {
        const destroy_at_end<Work> at_end{work};
        this->keep_result_of(std::move(*work));
    }

    std::optional<Work> work;
};

} // namespace coir::detail
