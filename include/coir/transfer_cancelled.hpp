#pragma once

#include <coir/cancelled.hpp>
#include <coir/export.hpp>

#include <cstddef>

namespace coir::io {

/// The coir::cancelled of a transfer that had already moved some bytes; it says how many. Code that does not need the number
/// need not know this type: scopes, groups and handlers of coir::cancelled treat it as any other.
///
///     try {
///         stream.write_all(record);
///     } catch (const coir::io::transfer_cancelled& cut) {
///         journal.note(cut.bytes_transferred());
///         throw;                              // always pass it on
///     }
class COIR_EXPORT transfer_cancelled : public cancelled {
public:
    explicit transfer_cancelled(std::size_t bytes_transferred) noexcept : bytes_transferred_(bytes_transferred) {}
    transfer_cancelled(const transfer_cancelled&) noexcept = default;
    transfer_cancelled& operator=(const transfer_cancelled&) noexcept = default;
    ~transfer_cancelled() override; // out of line: as that of cancelled

    [[nodiscard]] const char* what() const noexcept override;

    /// Bytes that were moved before. Never 0: that would be a plain coir::cancelled.
    [[nodiscard]] std::size_t bytes_transferred() const noexcept { return bytes_transferred_; }

private:
    std::size_t bytes_transferred_;
};

} // namespace coir::io
