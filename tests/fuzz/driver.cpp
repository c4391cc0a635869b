// Runs one target without libFuzzer: every file of the corpus, then seeded mutations of them.
//     fuzz_message [--runs N] [--seed S] FOLDER_OR_FILE...
// An input that crashes or hangs is kept in the working directory, named after the target.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <charconv>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>

#include "tests/fuzz/mutator.h"
#include "tests/fuzz/target.h"

extern "C" void __sanitizer_set_death_callback(void (*callback)()) __attribute__((weak));

namespace fedmesh::fuzz {
namespace {

constexpr unsigned kSecondsMax = 20;  // for one input

struct Arguments {
  std::uint64_t runs = 1000;
  std::uint64_t seed = 1;
  std::vector<std::filesystem::path> corpus;
};

// What a dying process leaves behind: written from signal handlers, hence plain.
ByteView input_at_hand;
char crash_path[256];

void keep_input() {
  const int file = ::open(crash_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (file < 0) return;
  const bool whole = ::write(file, input_at_hand.data(), input_at_hand.size()) ==
                     static_cast<ssize_t>(input_at_hand.size());
  ::close(file);
  constexpr char kKept[] = "the input is kept in ";
  if (whole && ::write(2, kKept, sizeof(kKept) - 1) > 0 &&
      ::write(2, crash_path, std::strlen(crash_path)) > 0)
    (void)!::write(2, "\n", 1);
}

void die(int signal_number) {
  keep_input();
  ::signal(signal_number, SIG_DFL);
  ::raise(signal_number);
}

// A sanitizer reports memory errors itself and then asks for the input.
void watch(const std::string& name) {
  std::snprintf(crash_path, sizeof(crash_path), "crash-%s.bin", name.c_str());
  ::signal(SIGABRT, die);
  ::signal(SIGALRM, die);
  if (__sanitizer_set_death_callback != nullptr) {
    __sanitizer_set_death_callback(keep_input);
    return;
  }
  for (const int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP}) ::signal(number, die);
}

void run(ByteView input) {
  // An allocation of exactly this size, so that AddressSanitizer sees a read past the end.
  const Bytes exact(input.begin(), input.end());
  input_at_hand = exact;
  ::alarm(kSecondsMax);
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
  ::alarm(0);
  input_at_hand = {};
}

Bytes read(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
}

bool parse(int argc, char** argv, Arguments& out) {
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    std::uint64_t* number = argument == "--runs"   ? &out.runs
                            : argument == "--seed" ? &out.seed
                                                   : nullptr;
    if (number == nullptr) {
      if (argument.starts_with("--")) return false;
      out.corpus.emplace_back(argument);
      continue;
    }
    if (++i == argc) return false;
    const char* end = argv[i] + std::strlen(argv[i]);
    const auto [rest, error] = std::from_chars(argv[i], end, *number);
    if (error != std::errc{} || rest != end) return false;
  }
  return !out.corpus.empty();
}

// In name order: the mutations of a seed are the same on every machine.
std::vector<std::filesystem::path> files_of(const std::vector<std::filesystem::path>& corpus) {
  std::vector<std::filesystem::path> files;
  for (const auto& path : corpus) {
    if (std::filesystem::is_directory(path)) {
      for (const auto& entry : std::filesystem::directory_iterator(path))
        if (entry.is_regular_file()) files.push_back(entry.path());
    } else {
      files.push_back(path);
    }
  }
  std::sort(files.begin(), files.end());
  return files;
}

int run_all(const std::string& name, const Arguments& arguments) {
  std::vector<Bytes> corpus;
  bool folder = false;
  for (const auto& path : arguments.corpus) folder = folder || std::filesystem::is_directory(path);
  for (const auto& path : files_of(arguments.corpus)) {
    corpus.push_back(read(path));
    run(corpus.back());
  }
  // A single file is replayed to look at a crash; a folder is a corpus and has to be whole.
  if (const auto missing = forms_not_accepted(); folder && !missing.empty()) {
    for (const std::string& form : missing)
      std::fprintf(stderr, "%s: no file of the corpus decodes as %s\n", name.c_str(), form.c_str());
    std::fprintf(stderr, "add a sample and regenerate the corpus: tests/fuzz/README.md\n");
    return 1;
  }
  Mutator mutator(corpus, arguments.seed);
  for (std::uint64_t i = 0; i < arguments.runs; ++i) run(mutator.next());
  std::printf("%s: %zu files, %llu mutations with seed %llu\n", name.c_str(), corpus.size(),
              static_cast<unsigned long long>(arguments.runs),
              static_cast<unsigned long long>(arguments.seed));
  return 0;
}

}  // namespace
}  // namespace fedmesh::fuzz

int main(int argc, char** argv) {
  fedmesh::fuzz::Arguments arguments;
  const std::string name = std::filesystem::path(argv[0]).filename().string();
  if (!fedmesh::fuzz::parse(argc, argv, arguments)) {
    std::fprintf(stderr, "usage: %s [--runs N] [--seed S] FOLDER_OR_FILE...\n", name.c_str());
    return 2;
  }
  LLVMFuzzerInitialize(&argc, &argv);
  fedmesh::fuzz::watch(name);
  std::printf("%s: seed %llu\n", name.c_str(), static_cast<unsigned long long>(arguments.seed));
  std::fflush(stdout);
  return fedmesh::fuzz::run_all(name, arguments);
}
