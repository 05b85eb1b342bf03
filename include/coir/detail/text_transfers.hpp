#pragma once

#include <concepts>
#include <cstddef>
#include <span>
#include <string_view>
#include <system_error>
#include <utility>

namespace coir::detail {

/// The reads of `Stream`, which derives from this and has a `using` for each name, for text. `how`: as there, with an error code or
/// without, with a deadline or without.
template <class Stream> class text_reads {
public:
    template <class... How>
    std::size_t read_some(std::span<char> text, How&&... how) noexcept((std::same_as<How, std::error_code&> || ...)) {
        return stream().read_some(std::as_writable_bytes(text), std::forward<How>(how)...);
    }
    template <class... How>
    std::size_t read_all(std::span<char> text, How&&... how) noexcept((std::same_as<How, std::error_code&> || ...)) {
        return stream().read_all(std::as_writable_bytes(text), std::forward<How>(how)...);
    }

private:
    Stream& stream() noexcept { return static_cast<Stream&>(*this); }
};

/// The same with its writes.
template <class Stream> class text_transfers : public text_reads<Stream> {
public:
    template <class... How>
    std::size_t write_some(std::string_view text, How&&... how) noexcept((std::same_as<How, std::error_code&> || ...)) {
        return stream().write_some(std::as_bytes(std::span{text}), std::forward<How>(how)...);
    }
    template <class... How>
    std::size_t write_all(std::string_view text, How&&... how) noexcept((std::same_as<How, std::error_code&> || ...)) {
        return stream().write_all(std::as_bytes(std::span{text}), std::forward<How>(how)...);
    }
    /// A char array that is not a literal may lack the terminator that string_view looks for: pass a view with a length.
    template <std::size_t size, class... How> std::size_t write_some(char (&)[size], How&&...) = delete;
    template <std::size_t size, class... How> std::size_t write_all(char (&)[size], How&&...) = delete;

private:
    Stream& stream() noexcept { return static_cast<Stream&>(*this); }
};

} // namespace coir::detail
