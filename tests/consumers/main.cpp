// The smallest program of a user: every way to find an installed coir builds and runs this file.

#include <coir/coir.hpp>

#include <cstdio>

int main() {
    const int answer = coir::run([] {
        coir::fiber<int> half = coir::spawn([] { return 21; });
        return half.join() * 2;
    });
    std::printf("%d\n", answer);
    return answer == 42 ? 0 : 1;
}
