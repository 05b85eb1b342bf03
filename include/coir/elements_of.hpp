#pragma once

#include <ranges>
#include <utility>

namespace coir {

/// Tells a generator to yield the elements of a range, one after the other, instead of the range: what
/// std::ranges::elements_of is to std::generator. See generator::yielder. Keeps a reference to the range.
///
///     yield(coir::elements_of(walk(*node.left)));
template <std::ranges::range Range> class elements_of {
public:
    explicit elements_of(Range&& range) : range_(std::forward<Range>(range)) {}
    [[nodiscard]] Range&& range() const noexcept { return std::forward<Range>(range_); }

private:
    Range&& range_;
};

template <class Range> elements_of(Range&&) -> elements_of<Range>;

} // namespace coir
