#pragma once

#include <coir/detail/fiber_base.hpp>
#include <coir/detail/local_storage.hpp>
#include <coir/exception_group.hpp>

#include <cstddef>
#include <exception>
#include <memory>
#include <vector>

namespace coir::detail {

/// What few fibers have: values of fiber_locals, bindings of context_vars, the failures of the last task group, and how deep
/// they were.
struct fiber_storage {
    ~fiber_storage(); // out of line: the end of a fiber that has none is short

    struct local {
        storage_key key;
        void* value;
        void (*destroy)(void* value) noexcept;
    };
    struct binding {
        storage_key key;
        std::shared_ptr<const void> value;
    };

    std::vector<local> locals;    // in the order in which they were made
    std::vector<binding> context; // a value for each key
    exception_group failures;
    std::size_t remembered_pages = 0; // how deep its stack was when it gave memory back: see remember_depth()
};

/// That of `fiber`, which gets one if it has none.
[[nodiscard]] fiber_storage& storage_of(fiber_base& fiber);

/// `fiber` gets the context of the running fiber, or of the thread.
void inherit_context(fiber_base& fiber);

/// Destroys the running fiber's values of fiber_locals; those that destructors make as well. It gives up its context.
void destroy_locals(fiber_base& running) noexcept;

/// What exception_group::current() returns in a handler for the first of `failures`, in the running fiber, or in the thread
/// outside of one. Nothing happens when there is no memory: it is an addition to what is thrown.
void set_current_exception_group(const std::vector<std::exception_ptr>& failures) noexcept;

/// The failures of the running fiber's last task group, if `first` is the first of them.
[[nodiscard]] exception_group find_exception_group(const std::exception_ptr& first) noexcept;

/// The failures that belong to the failure of `ended` become the running fiber's, if there is memory for that.
void take_over_exception_group(fiber_base& ended) noexcept;

} // namespace coir::detail
