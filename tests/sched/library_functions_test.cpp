// How much stack functions of the C and C++ libraries need (hazard C6): all of a long list must leave a quarter of a stack of
// the default size, and the everyday ones must run on the smallest stack that is accepted. Measured, not assumed: the list
// names functions that were found to need much.

#include <coir/fiber.hpp>
#include <coir/run.hpp>
#include <coir/stack_report.hpp>
#include <coir/stack_size.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <clocale>
#include <cmath>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <dlfcn.h>
#include <execinfo.h>
#include <filesystem>
#include <fnmatch.h>
#include <ftw.h>
#include <functional>
#include <glob.h>
#include <grp.h>
#include <langinfo.h>
#include <locale>
#include <map>
#include <netdb.h>
#include <numeric>
#include <pwd.h>
#include <random>
#include <regex.h>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <syslog.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace {

std::array<char, 8192> text;

struct candidate {
    const char* name;
    bool is_everyday; // must do with the smallest stack
    void (*call)();
};

void throw_through_frames(int depth) {
    struct unwound {
        ~unwound() { text[0] = 'x'; }
    } const here{};
    if (depth == 0)
        throw std::runtime_error("a text that does not fit into the string itself, and is allocated");
    throw_through_frames(depth - 1);
}

void on_signal(int /*signal*/) {
    text[0] = 's';
}

const std::array candidates{
    candidate{
        "printf of integers and strings", true,
        [] { std::snprintf(text.data(), text.size(), "%s %d %zu %x %20s", "text", -1, text.size(), 255U, "right"); }},
    candidate{"printf of a double", true, [] { std::snprintf(text.data(), text.size(), "%.17g %e", 3.14, 1e-300); }},
    candidate{"printf of the longest double", true, [] { std::snprintf(text.data(), text.size(), "%f", 1e308); }},
    candidate{"printf of the longest long double", false,
              [] { std::snprintf(text.data(), text.size(), "%.300Lf", 1e4900L); }},
    candidate{"sscanf", true,
              [] {
                  int number = 0;
                  double real = 0;
                  std::sscanf("42 3.5e10 word", "%d %lf %100s", &number, &real, text.data());
              }},
    candidate{"strtod of many digits", true, [] { std::strtod(std::string(800, '7').c_str(), nullptr); }},
    candidate{"throw and catch", true,
              [] {
                  try {
                      throw_through_frames(3);
                  } catch (const std::exception&) {}
              }},
    candidate{"throw out of a catch, nested", true,
              [] {
                  try {
                      try {
                          throw_through_frames(1);
                      } catch (const std::exception&) {
                          std::throw_with_nested(std::logic_error("outer"));
                      }
                  } catch (const std::exception& outer) {
                      try {
                          std::rethrow_if_nested(outer);
                      } catch (const std::exception&) {}
                  }
              }},
    candidate{"ostringstream", true,
              [] {
                  std::ostringstream out;
                  out << 1 << ' ' << 2.5 << ' ' << "text" << std::hex << 255;
              }},
    candidate{"istringstream", true,
              [] {
                  std::istringstream in{"12 3.5 word"};
                  int number = 0;
                  double real = 0;
                  std::string word;
                  in >> number >> real >> word;
              }},
    candidate{"a named locale", false, [] { std::setlocale(LC_ALL, "C.UTF-8"); }},
    candidate{"sort, map, function", true,
              [] {
                  std::vector<int> numbers(1000);
                  std::iota(numbers.begin(), numbers.end(), 0);
                  std::sort(numbers.begin(), numbers.end(), std::greater<>{});
                  std::map<std::string, int> words{{"one", 1}, {"two", 2}};
                  const std::function<int(int)> twice = [&](int n) { return 2 * n + words["one"]; };
                  text[0] = static_cast<char>(twice(numbers.front()));
              }},
    candidate{"qsort", true,
              [] {
                  std::array<int, 500> numbers{};
                  std::qsort(numbers.data(), numbers.size(), sizeof(int), [](const void* a, const void* b) {
                      return *static_cast<const int*>(a) - *static_cast<const int*>(b);
                  });
              }},
    candidate{"random_device and mt19937", true,
              [] {
                  std::random_device source;
                  std::mt19937_64 numbers{source()}; // 2.5 KiB of state
                  text[0] = static_cast<char>(numbers());
              }},
    candidate{"localtime, strftime", true,
              [] {
                  const std::time_t now = 1'700'000'000;
                  std::tm parts{};
                  ::localtime_r(&now, &parts);
                  std::strftime(text.data(), text.size(), "%c %Z", &parts);
              }},
    candidate{"regcomp, regexec", false,
              [] {
                  regex_t pattern;
                  ::regcomp(&pattern, "^([a-z]+)://([^/:]+)(:[0-9]+)?(/.*)?$", REG_EXTENDED);
                  std::array<regmatch_t, 5> parts{};
                  ::regexec(&pattern, "http://example.org:8080/a/long/path?with=query", parts.size(), parts.data(), 0);
                  ::regfree(&pattern);
              }},
    candidate{"fnmatch, glob", false,
              [] {
                  ::fnmatch("*.c[px]*", "some_file_name.cpp", 0);
                  glob_t found{};
                  ::glob("/etc/*.conf", 0, nullptr, &found);
                  ::globfree(&found);
              }},
    candidate{"nftw", false,
              [] {
                  ::nftw(
                      "/etc/default", [](const char*, const struct stat*, int, FTW*) { return 0; }, 8, 0);
              }},
    candidate{"realpath", false, [] { std::free(::realpath("/proc/self/exe", nullptr)); }},
    candidate{"filesystem", false,
              [] {
                  const std::filesystem::path here = std::filesystem::current_path();
                  std::error_code error;
                  for (const auto& entry : std::filesystem::directory_iterator("/etc", error))
                      text[0] = entry.path().string().back();
                  (void)std::filesystem::weakly_canonical(here / ".." / "somewhere", error);
              }},
    candidate{"getaddrinfo of a number", true,
              [] {
                  addrinfo hints{};
                  hints.ai_flags = AI_NUMERICHOST;
                  addrinfo* found = nullptr;
                  if (::getaddrinfo("127.0.0.1", "80", &hints, &found) == 0)
                      ::freeaddrinfo(found);
              }},
    candidate{"getaddrinfo of a name", false,
              [] {
                  addrinfo* found = nullptr;
                  if (::getaddrinfo("localhost", "http", nullptr, &found) == 0)
                      ::freeaddrinfo(found);
              }},
    candidate{"getpwuid, getgrgid", false,
              [] {
                  passwd user{};
                  passwd* found = nullptr;
                  ::getpwuid_r(::getuid(), &user, text.data(), text.size(), &found);
                  group members{};
                  group* found_group = nullptr;
                  ::getgrgid_r(::getgid(), &members, text.data(), text.size(), &found_group);
              }},
    candidate{"dlopen, dlsym", false,
              [] {
                  if (void* library = ::dlopen("libm.so.6", RTLD_NOW)) {
                      (void)::dlsym(library, "tgamma");
                      ::dlclose(library);
                  }
              }},
    candidate{"backtrace, backtrace_symbols", false,
              [] {
                  std::array<void*, 64> frames{};
                  const int count = ::backtrace(frames.data(), static_cast<int>(frames.size()));
                  std::free(::backtrace_symbols(frames.data(), count));
              }},
    candidate{"std::thread", true, [] { std::thread{[] {}}.join(); }},
    candidate{"a signal", true,
              [] {
                  std::signal(SIGUSR1, on_signal);
                  std::raise(SIGUSR1);
              }},
    candidate{"a mathematical function", true, [] { text[0] = static_cast<char>(std::tgamma(5.5) + std::sin(1e22)); }},
    candidate{"fopen, fgets, fclose", true,
              [] {
                  if (std::FILE* file = std::fopen("/etc/hostname", "r")) {
                      if (!std::fgets(text.data(), 100, file))
                          text[0] = 0;
                      std::fclose(file);
                  }
              }},
    candidate{"popen", false,
              [] {
                  if (std::FILE* output = ::popen("true", "r"))
                      ::pclose(output);
              }},
};

std::size_t deepest(const candidate& each, std::size_t stack_size) {
    coir::spawn({.name = each.name, .stack_size = stack_size, .site = {each.name, 1}}, each.call).join();
    for (const coir::stack_usage& usage : coir::stack_report())
        if (usage.site.file == std::string_view{each.name})
            return usage.largest_pages * 4096;
    return 0;
}

TEST(library_functions, leave_a_quarter_of_a_stack_of_the_default_size) {
    for (const candidate& each : candidates) {
        coir::run(
            [&] {
                const std::size_t used = deepest(each, 0);
                std::printf("%7zu bytes: %s\n", used, each.name);
                EXPECT_GT(used, 0U) << each.name;
                EXPECT_LT(used, coir::default_stack_size * 3 / 4) << each.name;
            },
            {.measure_stacks = true});
    }
}

TEST(library_functions, run_on_the_smallest_stack_if_they_are_everyday_ones) {
    for (const candidate& each : candidates) {
        if (!each.is_everyday)
            continue;
        coir::run(
            [&] {
                const std::size_t used = deepest(each, coir::minimum_stack_size);
                EXPECT_LE(used, coir::minimum_stack_size) << each.name;
            },
            {.measure_stacks = true});
    }
}

} // namespace
