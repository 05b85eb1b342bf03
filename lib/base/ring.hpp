#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <memory>

namespace coir::detail {

/// Queue of pointers in one array: unlike a linked list it shows who comes later, which allows prefetching
/// (docs/scheduler.md). Usually first in, first out. Only reserve() allocates.
template <class T> class ring {
public:
    [[nodiscard]] bool empty() const noexcept { return head_ == tail_; }
    [[nodiscard]] std::size_t size() const noexcept { return tail_ - head_; }

    /// How many elements have ever been pushed and popped; pop_newest() takes a push back.
    [[nodiscard]] std::size_t pushed() const noexcept { return tail_; }
    [[nodiscard]] std::size_t popped() const noexcept { return head_; }

    /// The element that `ahead` pops will skip. `ahead` must be less than size().
    [[nodiscard]] T* peek(std::size_t ahead) const noexcept { return elements_[(head_ + ahead) & mask_]; }

    /// The element that was pushed last.
    [[nodiscard]] T* newest() const noexcept { return elements_[(tail_ - 1) & mask_]; }

    /// Puts `other` in the place of an element that is in the queue, and was pushed when pushed() was `place`.
    void replace(std::size_t place, T* other) noexcept { elements_[place & mask_] = other; }

    /// There must be room: see reserve().
    void push(T* element) noexcept { elements_[tail_++ & mask_] = element; }

    [[nodiscard]] T* pop() noexcept { return elements_[head_++ & mask_]; }

    /// newest(), which leaves the queue.
    [[nodiscard]] T* pop_newest() noexcept { return elements_[--tail_ & mask_]; }

    /// How many elements there may be before reserve() is needed.
    [[nodiscard]] std::size_t capacity() const noexcept { return elements_ ? mask_ + 1 : 0; }

    /// Room for `count` elements in all. Strong guarantee; amortised O(1) an element.
    void reserve(std::size_t count) {
        if (count > capacity()) [[unlikely]]
            grow(count);
    }

private:
    [[gnu::noinline]] void grow(std::size_t count) {
        const std::size_t larger = std::bit_ceil(std::max<std::size_t>(count, 64));
        auto elements = std::make_unique_for_overwrite<T*[]>(larger); // untouched pages cost nothing
        for (std::size_t i = head_; i != tail_; ++i)
            elements[i & (larger - 1)] = elements_[i & mask_];
        elements_ = std::move(elements);
        mask_ = larger - 1;
    }

    std::unique_ptr<T*[]> elements_;
    std::size_t mask_ = 0;
    std::size_t head_ = 0; // counts pops
    std::size_t tail_ = 0; // counts pushes
};

} // namespace coir::detail
