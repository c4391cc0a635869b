# Everything comes from the distribution's packages (see cmake/packages.txt).
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(sodium REQUIRED IMPORTED_TARGET libsodium)
find_package(OpenSSL 3 REQUIRED COMPONENTS Crypto)
find_package(msgpack REQUIRED CONFIG)
find_package(cppzmq REQUIRED)
find_package(ZLIB REQUIRED)
find_package(nlohmann_json REQUIRED)
find_package(CLI11 REQUIRED)
find_package(tomlplusplus REQUIRED)
# Debian's own CMake file for RocksDB asks for the development files of every compressor.
find_library(FEDMESH_ROCKSDB rocksdb REQUIRED)

if(FEDMESH_TORCH)
  find_package(Torch REQUIRED)
  # Debian's LibTorch calls whatever libblas.so.3 points to; OpenBLAS linked ahead of it answers first.
  find_library(FEDMESH_OPENBLAS NAMES libopenblas.so.0
               PATHS /usr/lib/x86_64-linux-gnu/openblas-pthread /usr/lib/aarch64-linux-gnu/openblas-pthread
                     /usr/lib/x86_64-linux-gnu /usr/lib/aarch64-linux-gnu)
  add_library(fedmesh_torch INTERFACE)
  if(FEDMESH_OPENBLAS)
    target_link_libraries(fedmesh_torch INTERFACE -Wl,--no-as-needed ${FEDMESH_OPENBLAS})
  else()
    message(WARNING "OpenBLAS was not found: training will be several times slower")
  endif()
  target_link_libraries(fedmesh_torch INTERFACE torch)
endif()

if(FEDMESH_TESTS)
  find_package(GTest REQUIRED)
  find_package(benchmark REQUIRED)  # tests/bench only
  include(GoogleTest)
endif()
