#pragma once

#include <utility>

namespace coir::detail {

/// A function that is called once, and destroyed as soon as it has ended, however that happens. Every spawn() in a program
/// instantiates this; std::optional would do, but takes several times as long to compile.
template <class Work> class single_use {
public:
    template <class... Arguments>
    explicit single_use(Arguments&&... arguments) : work_(std::forward<Arguments>(arguments)...) {}
    ~single_use() { reset(); }
    single_use(const single_use&) = delete;
    single_use& operator=(const single_use&) = delete;

    [[nodiscard]] Work& operator*() noexcept { return work_; }

    /// Without having called it, or after that.
    void reset() noexcept {
        if (std::exchange(is_there_, false))
            work_.~Work();
    }

    /// While it lives the function can be called; then it is destroyed.
    class call {
    public:
        explicit call(single_use& which) noexcept : which_(which) {}
        ~call() { which_.reset(); }
        call(const call&) = delete;
        call& operator=(const call&) = delete;

        [[nodiscard]] Work&& function() const noexcept { return std::move(which_.work_); }

    private:
        single_use& which_;
    };

private:
    union {
        Work work_;
    };
    bool is_there_ = true;
};

} // namespace coir::detail
