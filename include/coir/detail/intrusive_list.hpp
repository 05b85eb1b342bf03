#pragma once

#include <cstddef>

namespace coir::detail {

/// A place in an intrusive_list: derive from it. An element is in one list at most, and takes itself out.
class list_node {
public:
    list_node() = default;
    list_node(const list_node&) = delete;
    list_node& operator=(const list_node&) = delete;

    [[nodiscard]] bool is_linked() const noexcept { return next_ != nullptr; }

    void unlink() noexcept {
        previous_->next_ = next_; // NOLINT(clang-analyzer-core.NullDereference): it loses track of circular lists
        next_->previous_ = previous_;
        next_ = previous_ = nullptr;
    }

private:
    template <class T> friend class intrusive_list;
    list_node* next_ = nullptr;
    list_node* previous_ = nullptr;
};

/// First in, first out, of elements that live elsewhere. Never allocates; every operation is O(1).
/// Elements must be taken out before they die; the list must be empty when it dies.
template <class T> class intrusive_list {
public:
    constexpr intrusive_list() noexcept { head_.next_ = head_.previous_ = &head_; }
    intrusive_list(const intrusive_list&) = delete;
    intrusive_list& operator=(const intrusive_list&) = delete;

    [[nodiscard]] bool empty() const noexcept { return head_.next_ == &head_; }
    /// The first and the last; there must be one.
    [[nodiscard]] T& front() noexcept { return *static_cast<T*>(head_.next_); }
    [[nodiscard]] T& back() noexcept { return *static_cast<T*>(head_.previous_); }

    /// The element after `element`, which is in this list; null after the last.
    [[nodiscard]] T* after(T& element) const noexcept {
        list_node* next = static_cast<list_node&>(element).next_;
        return next == &head_ ? nullptr : static_cast<T*>(next);
    }

    void push_back(T& element) noexcept {
        list_node& node = element;
        node.next_ = &head_;
        node.previous_ = head_.previous_;
        head_.previous_->next_ = &node;
        head_.previous_ = &node;
    }

    void push_front(T& element) noexcept {
        list_node& node = element;
        node.next_ = head_.next_;
        node.previous_ = &head_;
        head_.next_->previous_ = &node;
        head_.next_ = &node;
    }

    T& pop_front() noexcept {
        T& element = front();
        static_cast<list_node&>(element).unlink();
        return element;
    }

    /// The first for which `matches(element)`, or null.
    template <class Predicate> [[nodiscard]] T* find_if(Predicate matches) noexcept {
        for (list_node* node = head_.next_; node != &head_; node = node->next_)
            if (matches(*static_cast<T*>(node)))
                return static_cast<T*>(node);
        return nullptr;
    }

    /// Calls `visit(element)` for each; `visit` may take out the element it is given and no other.
    template <class Visit> void for_each(Visit visit) {
        for (list_node* node = head_.next_; node != &head_;) {
            list_node* next = node->next_;
            visit(*static_cast<T*>(node));
            node = next;
        }
    }

private:
    list_node head_;
};

} // namespace coir::detail
