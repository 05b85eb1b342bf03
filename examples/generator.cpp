/// Generators: a function that hands out its results one at a time, from wherever in its calls it happens to be.

#include <coir/generator.hpp>

#include <iostream>
#include <memory>
#include <string>
#include <utility>

namespace {

struct node {
    std::string word;
    std::unique_ptr<node> left;
    std::unique_ptr<node> right;
};

void insert(std::unique_ptr<node>& place, const std::string& word) {
    if (!place)
        place = std::make_unique<node>(node{word, nullptr, nullptr});
    else
        insert(word < place->word ? place->left : place->right, word);
}

using words = coir::generator<const std::string&>;

// Plain recursion. Each yield leaves all of it on the generator's own stack, and comes back to it for the next word.
void walk(const std::unique_ptr<node>& place, words::yielder& yield) {
    if (!place)
        return;
    walk(place->left, yield);
    yield(place->word);
    walk(place->right, yield);
}

words in_order(const std::unique_ptr<node>& root) {
    return [&root](auto& yield) { walk(root, yield); };
}

// Without an end: nobody computes more of them than are asked for.
coir::generator<int> fibonacci() {
    return [](auto& yield) {
        for (int a = 0, b = 1;; b += std::exchange(a, b))
            yield(a);
    };
}

coir::generator<int> lengths(const std::unique_ptr<node>& root) {
    return [&root](auto& yield) {
        for (const std::string& word : in_order(root))
            yield(static_cast<int>(word.size()));
        yield(coir::elements_of(fibonacci())); // all elements of another one
    };
}

} // namespace

int main() {
    std::unique_ptr<node> root;
    for (const char* word : {"natural", "coir", "is", "a", "fiber"})
        insert(root, word);

    std::string sentence;
    for (const std::string& word : in_order(root))
        sentence += word + ' ';
    std::cout << sentence << '\n'; // a coir fiber is natural

    int sum = 0;
    for (int number : lengths(root)) {
        std::cout << number << ' '; // 1 4 5 2 7, then 0 1 1 2 3 5 8 …
        sum += number;
        if (number == 144)
            break; // the generator goes, and unwinds what it was in the middle of
    }
    std::cout << "sum " << sum << '\n';
    return sentence == "a coir fiber is natural " && sum == 395 ? 0 : 1;
}
