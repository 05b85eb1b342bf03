#pragma once

#include <coir/borrowed_descriptor.hpp>
#include <coir/deadline.hpp>

#include <concepts>
#include <cstddef>
#include <span>
#include <system_error>

/// \file
/// What descriptors, connections and whatever else carries bytes have in common. The calls behave as those of io.hpp.
namespace coir::io {

template <class Stream>
concept readable_stream = requires(Stream& stream, std::span<std::byte> buffer, std::error_code& error,
                                   deadline until) {
    { stream.read_some(buffer, error, until) }
    noexcept->std::same_as<std::size_t>;
};

template <class Stream>
concept writable_stream = requires(Stream& stream, std::span<const std::byte> buffer, std::error_code& error,
                                   deadline until) {
    { stream.write_all(buffer, error, until) }
    noexcept->std::same_as<std::size_t>;
};

/// Types whose read_some() and write_all() are plain system calls on the descriptor that `get()` or `native_handle()` names:
/// copy() may bypass them. A stream that encrypts is not one.
template <class Stream> inline constexpr bool enable_kernel_copy = std::derived_from<Stream, borrowed_descriptor>;

} // namespace coir::io
