#pragma once

#include <coir/deadline.hpp>
#include <coir/detail/shared_wait.hpp>
#include <coir/export.hpp>

#include <cstddef>
#include <optional>

namespace coir::detail {

/// One case of a select(): an operation that may have to wait. Each kind of object supplies its own.
class COIR_EXPORT selectable {
public:
    selectable(const selectable&) = delete;
    selectable& operator=(const selectable&) = delete;
    virtual ~selectable();

    /// Performs the operation if that is possible without waiting; never suspends. While it runs, no case is entered.
    virtual bool try_now() = 0;
    /// Puts record() among the waiters of the object; false if the operation may be possible now, or nothing was entered for
    /// another reason, which try_now() then throws: select() tries all cases again.
    virtual bool enter() noexcept = 0;
    /// Takes record() out again, if it is still there. Not called for the case that has been chosen.
    virtual void leave() noexcept = 0;
    /// record() has been claimed for `why`, notified or closed, and all others have been left. False: it was a hint only.
    virtual bool complete(wake_reason why) = 0;
    /// When this case is ready without anybody doing anything.
    [[nodiscard]] virtual deadline ready_at() const noexcept { return deadline::never(); }

    /// The record of one round of select().
    void begin(shared_wait& whole) { record_.emplace(kind_, object_, whole); }
    [[nodiscard]] select_case& record() noexcept { return *record_; }
    [[nodiscard]] wait_kind kind() const noexcept { return kind_; }
    /// `one` is the record of this case.
    [[nodiscard]] bool owns(const select_case* one) const noexcept { return record_ && &*record_ == one; }

    std::size_t index = 0; ///< among the arguments of select()

protected:
    explicit selectable(wait_kind kind = wait_kind::select, const void* object = nullptr) noexcept
        : kind_(kind), object_(object) {}

private:
    const wait_kind kind_;
    const void* const object_;
    std::optional<select_case> record_;
};

} // namespace coir::detail
