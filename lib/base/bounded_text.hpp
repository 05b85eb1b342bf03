#pragma once

#include <algorithm>
#include <array>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace coir::detail {

/// Text that is put together without allocating, locales or locks: by a signal handler. What does not fit is cut off.
class bounded_text {
public:
    bounded_text& operator<<(std::string_view more) noexcept {
        const std::size_t taken = std::min(more.size(), text_.size() - size_);
        std::copy_n(more.data(), taken, text_.data() + size_);
        size_ += taken;
        return *this;
    }

    bounded_text& operator<<(std::uint64_t number) noexcept { return append(number, 10); }

    /// In hexadecimal, as the debugger shows it.
    bounded_text& append_address(const void* address) noexcept {
        return (*this << "0x").append(reinterpret_cast<std::uintptr_t>(address), 16);
    }

    [[nodiscard]] std::string_view view() const noexcept { return {text_.data(), size_}; }

private:
    bounded_text& append(std::uint64_t number, int base) noexcept {
        std::array<char, 20> digits; // of the largest number
        const auto end = std::to_chars(digits.begin(), digits.end(), number, base).ptr;
        return *this << std::string_view{digits.data(), static_cast<std::size_t>(end - digits.begin())};
    }

    std::array<char, 1024> text_;
    std::size_t size_ = 0;
};

} // namespace coir::detail
