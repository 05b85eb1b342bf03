// Planted bug for AddressSanitizer: a fiber reads one element past a heap array.

#include <coir/coir.hpp>

#include <cstddef>
#include <vector>

int main() {
    return coir::run([] {
        const std::vector<int> numbers(4, 1);
        const int* first = numbers.data();
        volatile std::size_t one_too_far = numbers.size();
        coir::this_fiber::yield();
        volatile int stolen = first[one_too_far];
        return stolen & 0;
    });
}
