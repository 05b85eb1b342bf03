#pragma once

#include <cstddef>
#include <vector>

#if defined(COIR_VALGRIND)
#include <valgrind/valgrind.h>
#endif

namespace coir::detail {

/// Tells Valgrind which memory is stacks (hazard D7): otherwise it takes a switch for one huge frame, and what the stack
/// left behind holds for undefined. Costs some instructions a stack when there is no Valgrind, at build time or at run time.
class stacks_known_to_valgrind {
public:
    stacks_known_to_valgrind() = default;
    stacks_known_to_valgrind(const stacks_known_to_valgrind&) = delete;
    stacks_known_to_valgrind& operator=(const stacks_known_to_valgrind&) = delete;

#if defined(COIR_VALGRIND) && !defined(NVALGRIND) // which the header defines where there is no Valgrind for the machine
    ~stacks_known_to_valgrind() {
        for (const unsigned id : ids_)
            VALGRIND_STACK_DEREGISTER(id);
    }

    void add(const std::byte* bottom, std::size_t size) {
        if (RUNNING_ON_VALGRIND != 0)
            ids_.push_back(VALGRIND_STACK_REGISTER(bottom, bottom + size));
    }

private:
    std::vector<unsigned> ids_;
#else
    void add(const std::byte* /*bottom*/, std::size_t /*size*/) {}
#endif
};

} // namespace coir::detail
