#include "sched/fiber_storage.hpp"

#include "sched/loop.hpp"

#include <coir/detail/scope_state.hpp>

#include <algorithm>
#include <atomic>
#include <new>
#include <utility>

namespace coir {
namespace detail {
namespace {

// Newest first; those that a destructor makes as well.
void destroy_values(fiber_storage& storage) noexcept {
    while (!storage.locals.empty()) {
        const fiber_storage::local last = storage.locals.back();
        storage.locals.pop_back();
        last.destroy(last.value);
    }
}

// A thread's own, for code that runs in no fiber. After the thread's destructors have taken it away, destructors of static
// variables may still make a new one, which then stays (hazard G9).
constinit thread_local fiber_storage* thread_storage = nullptr;

struct thread_storage_owner {
    ~thread_storage_owner() {
        destroy_values(*thread_storage);
        delete std::exchange(thread_storage, nullptr);
    }
};

fiber_storage& of_thread() {
    if (!thread_storage) {
        thread_storage = new fiber_storage;
        static thread_local const thread_storage_owner owner;
    }
    return *thread_storage;
}

fiber_base* running_fiber() noexcept {
    loop* here = loop::current_with_running_fiber();
    return here ? &here->running() : nullptr;
}

fiber_storage* find_storage() noexcept {
    const fiber_base* running = running_fiber();
    return running ? running->storage.get() : thread_storage;
}

fiber_storage& obtain_storage() {
    fiber_base* running = running_fiber();
    return running ? storage_of(*running) : of_thread();
}

} // namespace

fiber_storage::~fiber_storage() = default;

fiber_storage& storage_of(fiber_base& fiber) {
    if (!fiber.storage)
        fiber.storage = std::make_unique<fiber_storage>();
    return *fiber.storage;
}

local_value_factory::~local_value_factory() = default;

storage_key next_storage_key() noexcept {
    static constinit std::atomic<storage_key> last{0};
    return last.fetch_add(1, std::memory_order_relaxed) + 1;
}

void* find_local_value(storage_key key) noexcept {
    if (const fiber_storage* storage = find_storage())
        for (const fiber_storage::local& each : storage->locals)
            if (each.key == key)
                return each.value;
    return nullptr;
}

void* local_value(storage_key key, const local_value_factory& factory) {
    if (void* value = find_local_value(key))
        return value;
    void* made = factory.make(); // may itself use fiber_locals, even wait
    try {
        obtain_storage().locals.push_back({key, made, factory.destroy});
    } catch (...) {
        factory.destroy(made);
        throw;
    }
    return made;
}

void destroy_locals(fiber_base& running) noexcept {
    const cancellation_pause in_peace; // destructors may block; they must not throw
    destroy_values(*running.storage);
    (void)std::exchange(running.storage->context, {}); // perhaps the last that holds a value
    destroy_values(*running.storage);
}

const void* find_context_value(storage_key key) noexcept {
    if (const fiber_storage* storage = find_storage())
        for (const fiber_storage::binding& each : storage->context)
            if (each.key == key)
                return each.value.get();
    return nullptr;
}

std::shared_ptr<const void> exchange_context_value(storage_key key, std::shared_ptr<const void> value) {
    std::vector<fiber_storage::binding>& context = obtain_storage().context;
    const auto found =
        std::find_if(context.begin(), context.end(), [key](const auto& each) { return each.key == key; });
    if (found == context.end()) {
        if (value)
            context.push_back({key, std::move(value)});
        return nullptr;
    }
    std::shared_ptr<const void> before = std::exchange(found->value, std::move(value));
    if (!found->value)
        context.erase(found);
    return before;
}

void inherit_context(fiber_base& fiber) {
    const fiber_storage* storage = find_storage();
    if (storage && !storage->context.empty())
        storage_of(fiber).context = storage->context;
}

void set_current_exception_group(const std::vector<std::exception_ptr>& failures) noexcept {
    try {
        obtain_storage().failures = exception_group{failures};
    } catch (const std::bad_alloc&) { // what is thrown stands without them
    }
}

exception_group find_exception_group(const std::exception_ptr& first) noexcept {
    const fiber_storage* storage = find_storage();
    if (!storage || storage->failures.empty() || storage->failures.front() != first)
        return {};
    return storage->failures;
}

void take_over_exception_group(fiber_base& ended) noexcept {
    if (!ended.storage || ended.storage->failures.empty() || ended.storage->failures.front() != ended.failure)
        return;
    try {
        obtain_storage().failures = std::move(ended.storage->failures);
    } catch (const std::bad_alloc&) { // as above
    }
}

} // namespace detail

exception_group::exception_group(std::vector<std::exception_ptr> failures)
    : failures_(failures.empty() ? nullptr
                                 : std::make_shared<const std::vector<std::exception_ptr>>(std::move(failures))) {}

exception_group exception_group::current() noexcept {
    return detail::find_exception_group(std::current_exception());
}

} // namespace coir
