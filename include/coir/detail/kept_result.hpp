#pragma once

#include <memory>
#include <optional>
#include <utility>

namespace coir::detail {

/// What a function has returned, for somebody who asks later.
template <class T> class kept_result {
public:
    template <class Work> void keep_result_of(Work&& work) { value_.emplace(std::forward<Work>(work)()); }
    /// Once, after the function has returned.
    T take() { return std::move(*value_); }
    void discard() noexcept { value_.reset(); }

private:
    std::optional<T> value_;
};

template <class T> class kept_result<T&> {
public:
    template <class Work> void keep_result_of(Work&& work) { value_ = std::addressof(std::forward<Work>(work)()); }
    T& take() { return *value_; }
    void discard() noexcept {}

private:
    T* value_ = nullptr;
};

template <> class kept_result<void> {
public:
    template <class Work> void keep_result_of(Work&& work) { std::forward<Work>(work)(); }
    void take() {}
    void discard() noexcept {}
};

} // namespace coir::detail
