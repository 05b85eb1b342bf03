#pragma once

#include <memory>
#include <optional>
#include <utility>

namespace coir::detail {

/// The return value of a function, or the value given to a promise, kept until somebody fetches it.
template <class T> class kept_result {
public:
    template <class Work> void keep_result_of(Work&& work) { value_.emplace(std::forward<Work>(work)()); }
    template <class Value> void keep(Value&& value) { value_.emplace(std::forward<Value>(value)); }
    [[nodiscard]] const T& get() const noexcept { return *value_; }
    /// Once, after the function has returned.
    T take() { return std::move(*value_); }
    void discard() noexcept { value_.reset(); }

private:
    std::optional<T> value_;
};

template <class T> class kept_result<T&> {
public:
    template <class Work> void keep_result_of(Work&& work) { keep(std::forward<Work>(work)()); }
    void keep(T& value) noexcept { value_ = std::addressof(value); }
    [[nodiscard]] T& get() const noexcept { return *value_; }
    T& take() { return *value_; }
    void discard() noexcept {}

private:
    T* value_ = nullptr;
};

template <> class kept_result<void> {
public:
    template <class Work> void keep_result_of(Work&& work) { std::forward<Work>(work)(); }
    void keep() noexcept {}
    void get() const noexcept {}
    void take() {}
    void discard() noexcept {}
};

} // namespace coir::detail
