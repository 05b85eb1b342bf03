// Planted bug for AddressSanitizer: a fiber writes one element past an array on its own stack.

#include <coir/coir.hpp>

#include <array>
#include <cstddef>

int main() {
    return coir::run([] {
        std::array<int, 8> numbers{};
        int* first = numbers.data();
        volatile std::size_t one_too_far = numbers.size();
        coir::this_fiber::yield();
        first[one_too_far] = 1;
        return numbers[0];
    });
}
