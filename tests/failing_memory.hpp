#pragma once

#include <cstddef>
#include <cstdlib>
#include <new>

/// Memory that runs out when a test says so: this replaces operator new, also the library's, of the one program that includes it.
namespace coir::test {

/// While it lives, so many more blocks can be had, on this thread.
class memory_limit {
public:
    explicit memory_limit(long blocks) noexcept {
        left() = blocks;
        is_reached() = false;
    }
    ~memory_limit() { left() = -1; }
    memory_limit(const memory_limit&) = delete;
    memory_limit& operator=(const memory_limit&) = delete;

    /// Whether the last of them was.
    [[nodiscard]] static bool& is_reached() noexcept {
        static thread_local bool reached = false;
        return reached;
    }

    [[nodiscard]] static bool allows_one_more() noexcept {
        if (left() < 0)
            return true;
        is_reached() = left() == 0;
        left() -= left() == 0 ? 0 : 1;
        return !is_reached();
    }

private:
    static long& left() noexcept {
        static thread_local long blocks = -1; // no limit
        return blocks;
    }
};

/// Calls `work()` again and again: with memory for no block, for one, two, …, until it does not ask for more. Whatever happens
/// there must be std::bad_alloc; other exceptions are passed on. Returns how often it was called.
template <class Work> long with_less_and_less_memory(Work work) {
    for (long blocks = 0;; ++blocks) {
        const memory_limit limit{blocks};
        try {
            work();
        } catch (const std::bad_alloc&) {
            continue;
        }
        if (!memory_limit::is_reached())
            return blocks + 1;
    }
}

} // namespace coir::test

// A function in the program comes before the C++ library's.
void* operator new(std::size_t size) {
    void* const block = coir::test::memory_limit::allows_one_more() ? std::malloc(size) : nullptr;
    if (!block)
        throw std::bad_alloc{};
    return block;
}
void operator delete(void* block) noexcept {
    std::free(block);
}
void operator delete(void* block, std::size_t /*size*/) noexcept {
    std::free(block);
}
void* operator new(std::size_t size, std::align_val_t alignment) {
    const auto unit = static_cast<std::size_t>(alignment);
    void* const block = coir::test::memory_limit::allows_one_more()
                            ? std::aligned_alloc(unit, (size + unit - 1) / unit * unit)
                            : nullptr;
    if (!block)
        throw std::bad_alloc{};
    return block;
}
void operator delete(void* block, std::align_val_t /*alignment*/) noexcept {
    std::free(block);
}
void operator delete(void* block, std::size_t /*size*/, std::align_val_t /*alignment*/) noexcept {
    std::free(block);
}
