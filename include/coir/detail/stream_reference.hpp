#pragma once

#include <coir/borrowed_descriptor.hpp>
#include <coir/deadline.hpp>
#include <coir/io.hpp>
#include <coir/stream.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <memory>
#include <span>
#include <system_error>
#include <type_traits>

namespace coir::detail {

inline constexpr int no_handle = -2; // not -1, which stands for a descriptor that is closed

/// The descriptor of a stream, for messages; no_handle if the stream does not tell.
template <class Stream> int handle_of(const Stream& stream) noexcept {
    if constexpr (requires {
                      { stream.native_handle() } -> std::same_as<int>;
                  })
        return stream.native_handle();
    else if constexpr (requires {
                           { stream.get() } -> std::same_as<int>;
                       })
        return stream.get();
    else
        return no_handle;
}

/// A descriptor number is copied, so nothing need outlive the reference.
template <class Stream>
inline constexpr bool is_number = std::same_as<std::remove_cv_t<Stream>, io::borrowed_descriptor>;

/// The common part of source_reference and sink_reference: a stream that outlives them, or a number.
class stream_reference {
public:
    /// As handle_of() the stream.
    [[nodiscard]] int handle() const noexcept { return handle_(*this); }

protected:
    template <class Stream>
    explicit stream_reference(Stream& stream) noexcept
        : stream_(const_cast<void*>(static_cast<const void*>(std::addressof(stream)))),
          handle_([](const stream_reference& self) noexcept { return handle_of(self.stream<Stream>()); }) {}
    explicit stream_reference(io::borrowed_descriptor number) noexcept
        : number_(number), handle_([](const stream_reference& self) noexcept { return handle_of(self.number_); }) {}

    template <class Stream> [[nodiscard]] Stream& stream() const noexcept { return *static_cast<Stream*>(stream_); }
    [[nodiscard]] const io::borrowed_descriptor& number() const noexcept { return number_; }

private:
    void* stream_ = nullptr;
    io::borrowed_descriptor number_;
    int (*handle_)(const stream_reference& self) noexcept;
};

/// Something to read from that outlives the reference, and the function that knows its type.
class source_reference : public stream_reference {
public:
    template <io::readable_stream Stream>
        requires(!is_number<Stream>)
    explicit source_reference(Stream& stream) noexcept
        : stream_reference(stream),
          read_([](const source_reference& self, std::span<std::byte> buffer, std::error_code& error,
                   deadline until) noexcept { return self.stream<Stream>().read_some(buffer, error, until); }) {}
    explicit source_reference(io::borrowed_descriptor number) noexcept
        : stream_reference(number),
          read_([](const source_reference& self, std::span<std::byte> buffer, std::error_code& error,
                   deadline until) noexcept { return self.number().read_some(buffer, error, until); }) {}

    /// read_some() of the source. A reference is no stream itself, or copying one would refer to the copied.
    std::size_t read(std::span<std::byte> buffer, std::error_code& error, deadline until) const noexcept {
        return read_(*this, buffer, error, until);
    }

private:
    using call = std::size_t(const source_reference& self, std::span<std::byte> buffer, std::error_code& error,
                             deadline until) noexcept;

    call* read_;
};

/// The same for something to write to.
class sink_reference : public stream_reference {
public:
    template <io::writable_stream Stream>
        requires(!is_number<Stream>)
    explicit sink_reference(Stream& stream) noexcept
        : stream_reference(stream),
          write_([](const sink_reference& self, pieces both, std::error_code& error, deadline until) noexcept {
              return write_to(self.stream<Stream>(), both, error, until);
          }) {}
    explicit sink_reference(io::borrowed_descriptor number) noexcept
        : stream_reference(number),
          write_([](const sink_reference& self, pieces both, std::error_code& error, deadline until) noexcept {
              return write_to(self.number(), both, error, until);
          }) {}

    /// Writes both, one after the other; in one call if the stream can do that.
    std::size_t write(std::span<const std::byte> first, std::span<const std::byte> second, std::error_code& error,
                      deadline until) const noexcept {
        return write_(*this, {first, second}, error, until);
    }

private:
    struct pieces {
        std::span<const std::byte> first;
        std::span<const std::byte> second;
    };
    using call = std::size_t(const sink_reference& self, pieces both, std::error_code& error, deadline until) noexcept;

    template <class Stream>
    static std::size_t write_to(Stream& stream, pieces both, std::error_code& error, deadline until) noexcept {
        if (both.first.empty())
            return stream.write_all(both.second, error, until);
        if (both.second.empty())
            return stream.write_all(both.first, error, until);
        const std::array<io::const_buffer, 2> gathered{
            {{both.first.data(), both.first.size()}, {both.second.data(), both.second.size()}}};
        if constexpr (requires { stream.writev(gathered, error, until); }) {
            return stream.writev(gathered, error, until);
        } else {
            const std::size_t written = stream.write_all(both.first, error, until);
            return error ? written : written + stream.write_all(both.second, error, until);
        }
    }

    call* write_;
};

} // namespace coir::detail
