// fedmesh-trainer: trains and evaluates for one fedmesh-worker, which starts it and speaks to it
// over its standard streams. It has no network, no keys and no ledger.
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/crypto/keys.h"
#include "models/nets/runtime.h"
#include "worker/trainer/lock_down.h"
#include "worker/trainer/runner/torch_executor.h"
#include "worker/trainer/serve.h"

namespace {

// Whatever a library prints to stdout must not get between the frames: the pipe moves to a
// descriptor of its own and stdout becomes stderr.
int take_stdout() {
  const int pipe = ::fcntl(1, F_DUPFD_CLOEXEC, 3);
  if (pipe >= 0) ::dup2(2, 1);
  return pipe;
}

}  // namespace

int main(int argc, char** argv) {
  using namespace fedmesh;
  CLI::App app{"Trains and evaluates models for fedmesh-worker, which starts it by itself."};
  int threads = 1;
  app.add_option("--threads", threads, "threads of LibTorch; results repeat to the bit with 1 only")
      ->check(CLI::Range(1, 256))
      ->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  if (::isatty(0)) {
    std::fputs("fedmesh-trainer takes its tasks from fedmesh-worker over a pipe; start that.\n",
               stderr);
    return 2;
  }
  const int out = take_stdout();
  crypto::initialise();
  const models::Runtime runtime = models::initialise_runtime(threads);
  if (const std::string warning = models::blas_warning(runtime); !warning.empty())
    std::fprintf(stderr, "warning: %s\n", warning.c_str());
  const bool cuda = runtime.devices.size() > 1;  // its driver talks to local daemons
  if (const auto locked = trainer::deny_network(/*allow_local=*/cuda); !locked.ok())
    std::fprintf(stderr, "warning: %s\n", locked.error().detail.c_str());
  trainer::TorchExecutor executor;
  const auto served = trainer::serve(0, out,
                                     {.engine = "LibTorch " + runtime.torch_version,
                                      .blas = runtime.blas,
                                      .devices = runtime.devices},
                                     executor);
  if (served.ok()) return 0;
  std::fprintf(stderr, "fedmesh-trainer: %s\n", served.error().to_string().c_str());
  return 1;
}
