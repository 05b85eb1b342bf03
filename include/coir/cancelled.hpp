#pragma once

#include <coir/export.hpp>

namespace coir {

/// What a blocking call throws in a fiber that has been cancelled, and `context::self::suspend()` in a context that is
/// being destroyed: it unwinds the stack, so that destructors run.
///
/// Deliberately not a `std::exception`: `catch (const std::exception&)` around a request handler must not stop it. With
/// libstdc++ the thrown object also counts as an `abi::__forced_unwind`, so that code which knows about forced unwinding
/// (iostreams, `std::packaged_task`, `std::async`) lets it through. A `catch (...)` should end with `throw;`. Without that it
/// only delays the end: cancellation is sticky, and the fiber's next blocking call throws again. A transfer that had already
/// moved some bytes throws the derived io::transfer_cancelled.
///
///     try {
///         stream.read_some(buffer);
///     } catch (const coir::cancelled&) {
///         log("shutting down");
///         throw;                              // always pass it on
///     }
class COIR_EXPORT cancelled {
public:
    cancelled() noexcept = default;
    cancelled(const cancelled&) noexcept = default;
    cancelled& operator=(const cancelled&) noexcept = default;
    virtual ~cancelled(); // out of line: one type_info for all shared libraries (hazard A10)

    [[nodiscard]] virtual const char* what() const noexcept;
};

} // namespace coir
