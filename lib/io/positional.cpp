#include <coir/io.hpp>

#include "io/borrowed.hpp"
#include "io/call.hpp"
#include "io/transfer.hpp"

#include <cstdint>
#include <limits>
#include <sys/types.h>
#include <unistd.h>

/// \file
/// Transfers at an offset. Of the files that have one, hardly any makes a fiber wait.
namespace coir {
namespace detail {
namespace {

// A negative offset means something else to preadv2(); and nothing lies there.
constexpr auto last_offset = static_cast<std::uint64_t>(std::numeric_limits<off_t>::max());

// What reading and writing at an offset have in common.
template <class Byte> class at_offset {
public:
    static constexpr bool takes = true;

    at_offset(std::span<Byte> buffer, std::uint64_t offset, amount wanted) noexcept
        : rest_(buffer), offset_(offset), wanted_(wanted) {}

    [[nodiscard]] bool is_empty() const noexcept { return rest_.empty(); }
    [[nodiscard]] bool is_short(ssize_t moved) const noexcept { return static_cast<std::size_t>(moved) < rest_.size(); }
    bool advance(ssize_t moved) noexcept {
        rest_ = rest_.subspan(static_cast<std::size_t>(moved));
        offset_ += static_cast<std::uint64_t>(moved);
        return wanted_ == amount::some || rest_.empty();
    }

protected:
    template <class Call> ssize_t with_offset(Call call) const noexcept {
        if (offset_ <= last_offset)
            return call(static_cast<off_t>(offset_));
        errno = EINVAL;
        return -1;
    }

    std::span<Byte> rest_;
    std::uint64_t offset_;
    amount wanted_;
};

class reading_at : public at_offset<std::byte> {
public:
    static constexpr direction way = direction::read;
    using at_offset::at_offset;

    [[nodiscard]] ssize_t attempt(descriptor_kind kind, int number) const noexcept {
        return with_offset([&](off_t offset) {
            return kind == descriptor_kind::borrowed ? pread_borrowed(number, rest_.data(), rest_.size(), offset)
                                                     : ::pread(number, rest_.data(), rest_.size(), offset);
        });
    }
};

class writing_at : public at_offset<const std::byte> {
public:
    static constexpr direction way = direction::write;
    using at_offset::at_offset;

    [[nodiscard]] ssize_t attempt(descriptor_kind kind, int number) const noexcept {
        return with_offset([&](off_t offset) {
            return kind == descriptor_kind::borrowed ? pwrite_borrowed(number, rest_.data(), rest_.size(), offset)
                                                     : ::pwrite(number, rest_.data(), rest_.size(), offset);
        });
    }
};

} // namespace
} // namespace detail

namespace io {

using detail::amount;
using detail::transfer;

std::size_t pread_some(int descriptor, std::span<std::byte> buffer, std::uint64_t offset, deadline until) {
    return transfer("io::pread_some", descriptor, detail::reading_at{buffer, offset, amount::some}, until);
}

std::size_t pread_some(int descriptor, std::span<std::byte> buffer, std::uint64_t offset, std::error_code& error,
                       deadline until) noexcept {
    return transfer(error, descriptor, detail::reading_at{buffer, offset, amount::some}, until);
}

std::size_t pread_all(int descriptor, std::span<std::byte> buffer, std::uint64_t offset, deadline until) {
    return transfer("io::pread_all", descriptor, detail::reading_at{buffer, offset, amount::all}, until);
}

std::size_t pread_all(int descriptor, std::span<std::byte> buffer, std::uint64_t offset, std::error_code& error,
                      deadline until) noexcept {
    return transfer(error, descriptor, detail::reading_at{buffer, offset, amount::all}, until);
}

std::size_t pwrite_some(int descriptor, std::span<const std::byte> buffer, std::uint64_t offset, deadline until) {
    return transfer("io::pwrite_some", descriptor, detail::writing_at{buffer, offset, amount::some}, until);
}

std::size_t pwrite_some(int descriptor, std::span<const std::byte> buffer, std::uint64_t offset, std::error_code& error,
                        deadline until) noexcept {
    return transfer(error, descriptor, detail::writing_at{buffer, offset, amount::some}, until);
}

std::size_t pwrite_all(int descriptor, std::span<const std::byte> buffer, std::uint64_t offset, deadline until) {
    return transfer("io::pwrite_all", descriptor, detail::writing_at{buffer, offset, amount::all}, until);
}

std::size_t pwrite_all(int descriptor, std::span<const std::byte> buffer, std::uint64_t offset, std::error_code& error,
                       deadline until) noexcept {
    return transfer(error, descriptor, detail::writing_at{buffer, offset, amount::all}, until);
}

} // namespace io
} // namespace coir
