#include "coordinator/ledger/rocksdb_store/rocksdb_store.h"

#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/file_system.h>
#include <rocksdb/table.h>

#include <array>
#include <string>
#include <vector>

#include "coordinator/ledger/rocksdb_store/head_mark.h"
#include "coordinator/ledger/rocksdb_store/rocksdb_error.h"

namespace fedmesh::ledger {
namespace {

constexpr const char* kBlocks = "blocks";
constexpr const char* kMeta = "meta";
constexpr const char* kSchema = "schema";  // the number
constexpr const char* kHead = "head";      // HeadPosition
constexpr std::size_t kWriteBuffer = 1u << 20;
constexpr std::size_t kBlockCache = 1u << 20;

// RocksDB keeps no diary of its own here: a reader's would disturb the writer's, and a writer's
// aborts the process on a full disk, with an assertion at the next line after one that failed.
class SilentLogger final : public rocksdb::Logger {
 public:
  using rocksdb::Logger::Logv;
  void Logv(const char*, va_list) override {}
};

std::string key_of(Height height) {  // big-endian: in height order
  std::string key(8, '\0');
  for (int i = 0; i < 8; ++i)
    key[static_cast<std::size_t>(i)] = static_cast<char>(height.value >> (8 * (7 - i)));
  return key;
}

rocksdb::Slice slice(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Small and quiet: a ledger is written once, in order, and hardly ever read.
rocksdb::ColumnFamilyOptions family_options() {
  rocksdb::BlockBasedTableOptions table;
  table.block_cache = rocksdb::NewLRUCache(kBlockCache);
  rocksdb::ColumnFamilyOptions options;
  options.write_buffer_size = kWriteBuffer;
  options.compression = rocksdb::kNoCompression;  // hashes and signatures
  options.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table));
  return options;
}

rocksdb::DBOptions database_options(rocksdb::Env* env) {
  rocksdb::DBOptions options;
  options.env = env;
  options.paranoid_checks = true;
  // Takes a log up to the first byte that does not verify. Whether that is a torn end that nobody
  // was told of, or the loss of final blocks, is decided by the mark: the stricter modes refuse
  // harmless torn ends, and none of them notices a log that was cut at a record.
  options.wal_recovery_mode = rocksdb::WALRecoveryMode::kPointInTimeRecovery;
  options.max_bgerror_resume_count = 0;  // an error is final
  options.atomic_flush = true;
  options.max_total_wal_size = 4 * kWriteBuffer;
  options.max_background_jobs = 1;
  options.max_file_opening_threads = 1;
  options.stats_dump_period_sec = 0;
  options.stats_persist_period_sec = 0;
  options.info_log = std::make_shared<SilentLogger>();
  return options;
}

Error lost_blocks(const std::filesystem::path& folder, Height head, const HeadPosition& mark) {
  return corruption(
      "the ledger in " + folder.string() + " ends at block " + std::to_string(head.value) +
      ", but block " + std::to_string(mark.height.value) +
      " was final: a file there is damaged, cut off, or older than the rest. Going on "
      "would fork the chain, so nothing was changed. Put back a good copy that has "
      "every block (the newest are in the files NNNNNN.log)");
}

}  // namespace

struct RocksDbStore::Database {
  std::filesystem::path folder;
  ChainId chain;
  std::set<SyncPoint> drop;
  std::shared_ptr<rocksdb::FileSystem> files;
  std::unique_ptr<rocksdb::Env> env;
  std::unique_ptr<rocksdb::DB> db;
  std::vector<rocksdb::ColumnFamilyHandle*> handles;  // default, blocks, meta
  std::optional<HeadMark> mark;                       // none: only reads
  HeadPosition head;
  bool unflushed = false;  // `head` is not durable
  std::optional<Error> failed;

  Database(std::filesystem::path at, const ChainId& of, const RocksDbOptions& options)
      : folder(std::move(at)),
        chain(of),
        drop(options.drop),
        files(options.file_system ? options.file_system : rocksdb::FileSystem::Default()),
        env(rocksdb::NewCompositeEnv(files)) {}
  ~Database() { close(); }

  rocksdb::ColumnFamilyHandle* blocks() const { return handles[1]; }
  rocksdb::ColumnFamilyHandle* meta() const { return handles[2]; }

  void close() {
    if (!db) return;
    for (auto* handle : handles) (void)db->DestroyColumnFamilyHandle(handle);
    handles.clear();
    (void)db->Close();
    db.reset();
  }

  enum class Mode { read, write, create };
  Result<void> open(Mode mode);
  Result<void> load();
  Result<void> check_mark(const HeadPosition& mark_position) const;
  Result<void> found();
  Result<std::string> meta_value(const char* key) const;
  Result<void> put(const CertifiedBlock& block);
  bool log_ends_soon() const;
  Result<void> write_mark();
  Result<void> fail(Error error) {
    failed = error;
    return error;
  }
};

Result<void> RocksDbStore::Database::open(Mode mode) {
  const auto family = family_options();
  std::vector<rocksdb::ColumnFamilyDescriptor> families = {
      {rocksdb::kDefaultColumnFamilyName, family}, {kBlocks, family}, {kMeta, family}};
  rocksdb::DBOptions options = database_options(env.get());
  rocksdb::DB* opened = nullptr;
  rocksdb::Status status;
  if (mode == Mode::read) {
    status = rocksdb::DB::OpenForReadOnly(options, folder.string(), families, &handles, &opened);
  } else {
    options.create_if_missing = mode == Mode::create;
    options.create_missing_column_families = mode == Mode::create;
    options.max_open_files = 64;
    status = rocksdb::DB::Open(options, folder.string(), families, &handles, &opened);
  }
  db.reset(opened);
  if (!status.ok()) return rocksdb_error(status, "open the ledger in", folder);
  return {};
}

Result<std::string> RocksDbStore::Database::meta_value(const char* key) const {
  std::string value;
  const auto got = db->Get({}, meta(), key, &value);
  if (got.IsNotFound())
    return corruption("the ledger in " + folder.string() + " has no " + key +
                      ": it is damaged, or no ledger");
  if (!got.ok()) return rocksdb_error(got, "read", folder);
  return value;
}

// What the database says of itself, and that its last block is where it says.
Result<void> RocksDbStore::Database::load() {
  FM_TRY(const std::string schema_bytes, meta_value(kSchema));
  const auto schema = codec::decode<std::uint64_t>(as_bytes(schema_bytes));
  if (!schema.ok()) return schema.error().with_context("schema version in " + folder.string());
  if (*schema > kSchemaVersion)
    return invalid_argument("the ledger in " + folder.string() +
                            " was made by a newer fedmesh: its schema version is " +
                            std::to_string(*schema) + ", this program knows up to " +
                            std::to_string(kSchemaVersion) + ". Run that version");
  if (*schema != kSchemaVersion)
    return corruption("schema version 0 in " + folder.string() + ": there never was one");
  FM_TRY(const std::string head_bytes, meta_value(kHead));
  auto position = codec::decode<HeadPosition>(as_bytes(head_bytes));
  if (!position.ok()) return position.error().with_context("head in " + folder.string());
  head = *position;
  if (head.chain != chain)
    return invalid_argument(
        "the ledger in " + folder.string() + " is of chain " + head.chain.hex() +
        ", the genesis beside it makes chain " + chain.hex() +
        ": put back the genesis.fm that this ledger began with, or use another home");
  const std::unique_ptr<rocksdb::Iterator> last(db->NewIterator({}, blocks()));
  last->SeekToLast();
  if (!last->Valid() && !last->status().ok())
    return rocksdb_error(last->status(), "read the ledger in", folder);
  const std::string last_key = last->Valid() ? last->key().ToString() : key_of({});
  if (last_key != key_of(head.height))
    return corruption("the ledger in " + folder.string() + " says it ends at block " +
                      std::to_string(head.height.value) + ", its last block is another");
  return {};
}

Result<void> RocksDbStore::Database::check_mark(const HeadPosition& mark_position) const {
  if (mark_position.chain != chain)
    return invalid_argument(head_file(folder).string() + " is of chain " +
                            mark_position.chain.hex() + ", the ledger of chain " + chain.hex());
  if (head.height < mark_position.height) return lost_blocks(folder, head.height, mark_position);
  return {};
}

// A ledger without blocks. That it is complete is what the mark says, once it is there.
Result<void> RocksDbStore::Database::found() {
  rocksdb::WriteOptions durable;
  durable.sync = true;
  head = {chain, {}, Digest{chain.bytes}};
  rocksdb::WriteBatch batch;
  auto done = batch.Put(meta(), kSchema, slice(codec::encode(kSchemaVersion)));
  if (done.ok()) done = batch.Put(meta(), kHead, slice(codec::encode(head)));
  if (done.ok()) done = db->Write(durable, &batch);
  if (!done.ok()) return rocksdb_error(done, "make a ledger in", folder);
  return HeadMark::create(*files, head_file(folder), head);
}

Result<void> RocksDbStore::Database::put(const CertifiedBlock& block) {
  const Header& header = block.block.header;
  const HeadPosition next{chain, header.height, header_hash(header)};
  rocksdb::WriteBatch batch;
  auto done = batch.Put(blocks(), key_of(header.height), slice(encode_certified_block(block)));
  if (done.ok()) done = batch.Put(meta(), kHead, slice(codec::encode(next)));
  if (done.ok()) done = db->Write({}, &batch);
  if (!done.ok())
    return fail(
        rocksdb_error(done, "write block " + std::to_string(header.height.value) + " to", folder));
  head = next;
  unflushed = true;
  return {};
}

// A new log may reach the disk before the end of the old one, which would leave a hole in the
// ledger. The log changes when the table in memory is full, at about kWriteBuffer.
bool RocksDbStore::Database::log_ends_soon() const {
  std::uint64_t bytes = kWriteBuffer;
  db->GetIntProperty(blocks(), rocksdb::DB::Properties::kCurSizeActiveMemTable, &bytes);
  return bytes >= kWriteBuffer / 2;
}

Result<void> RocksDbStore::Database::write_mark() {
  auto done = mark->write(head, !drop.contains(SyncPoint::ledger_head));
  if (!done.ok()) return fail(done.error());
  return {};
}

RocksDbStore::RocksDbStore(std::unique_ptr<Database> database) : database_(std::move(database)) {}
RocksDbStore::~RocksDbStore() = default;

std::filesystem::path RocksDbStore::head_file(const std::filesystem::path& folder) {
  return folder.string() + ".head";
}

Result<std::unique_ptr<RocksDbStore>> RocksDbStore::open(const std::filesystem::path& folder,
                                                         const ChainId& chain,
                                                         const RocksDbOptions& options) {
  auto database = std::make_unique<Database>(folder, chain, options);
  const auto mark_file = head_file(folder);
  FM_TRY(const auto mark, HeadMark::read(*database->files, mark_file));
  if (!mark) {  // new, or its making was interrupted
    FM_TRY_VOID(database->open(Database::Mode::create));
    const std::unique_ptr<rocksdb::Iterator> first(
        database->db->NewIterator({}, database->blocks()));
    first->SeekToFirst();
    if (!first->status().ok()) return rocksdb_error(first->status(), "read the ledger in", folder);
    if (first->Valid())
      return corruption(mark_file.string() +
                        " is missing: it says how far the ledger goes, and without it nobody can "
                        "tell whether blocks are missing; put back a good copy of the file");
    FM_TRY_VOID(database->found());
  } else {
    // Opening for writing trims and rewrites files, so a damaged ledger is recognised before that.
    FM_TRY(const auto seen, open_read_only(folder, chain, options));
    FM_TRY_VOID(database->open(Database::Mode::write));
    FM_TRY_VOID(database->load());
    FM_TRY_VOID(database->check_mark(*mark));
  }
  FM_TRY(database->mark, HeadMark::open(*database->files, mark_file));
  FM_TRY_VOID(database->write_mark());  // it may be some blocks behind
  return std::unique_ptr<RocksDbStore>(new RocksDbStore(std::move(database)));
}

Result<std::unique_ptr<RocksDbStore>> RocksDbStore::open_read_only(
    const std::filesystem::path& folder, const ChainId& chain, const RocksDbOptions& options) {
  auto database = std::make_unique<Database>(folder, chain, options);
  // The mark first: what is final by then must be in the database afterwards.
  FM_TRY(const auto mark, HeadMark::read(*database->files, head_file(folder)));
  if (!mark) return not_found("there is no ledger in " + folder.string());
  if (const auto there = database->files->FileExists((folder / "CURRENT").string(), {}, nullptr);
      there.IsNotFound())
    return lost_blocks(folder, {}, *mark).with_context("there is no ledger");
  FM_TRY_VOID(database->open(Database::Mode::read));
  FM_TRY_VOID(database->load());
  FM_TRY_VOID(database->check_mark(*mark));
  // Blocks above the mark may be lost yet, and other ones made in their place.
  database->head = *mark;
  std::unique_ptr<RocksDbStore> store(new RocksDbStore(std::move(database)));
  if (mark->height.value > 0) {
    FM_TRY(const CertifiedBlock marked, store->get(mark->height));
    if (header_hash(marked.block.header) != mark->hash)
      return corruption("block " + std::to_string(mark->height.value) + " in " + folder.string() +
                        " is another than the one that was final: files of two ledgers are mixed");
  }
  return store;
}

Result<void> RocksDbStore::add(const CertifiedBlock& block) {
  Database& database = *database_;
  if (database.failed) return *database.failed;
  if (!database.mark) return invalid_argument("this ledger is open for reading only");
  const Height height = block.block.header.height;
  if (height != head().next())
    return invalid_argument("the store expects block " + std::to_string(head().next().value) +
                            ", not " + std::to_string(height.value));
  if (database.unflushed && database.log_ends_soon()) FM_TRY_VOID(flush());
  return database.put(block);
}

// The mark says what cannot be lost any more, so it is written after that is so.
Result<void> RocksDbStore::flush() {
  Database& database = *database_;
  if (database.failed) return *database.failed;
  if (!database.unflushed) return {};
  if (!database.drop.contains(SyncPoint::ledger_block))
    if (const auto done = database.db->SyncWAL(); !done.ok())
      return database.fail(rocksdb_error(done, "flush", database.folder));
  FM_TRY_VOID(database.write_mark());
  database.unflushed = false;
  return {};
}

Result<void> RocksDbStore::append_all(std::span<const CertifiedBlock> blocks) {
  for (const CertifiedBlock& block : blocks) FM_TRY_VOID(add(block));
  return flush();
}

Result<CertifiedBlock> RocksDbStore::get(Height height) const {
  const Database& database = *database_;
  const std::string name = "block " + std::to_string(height.value);
  if (database.failed) return *database.failed;
  if (height.value == 0 || height > head())
    return not_found(name + " of " + std::to_string(head().value));
  std::string bytes;
  const auto got = database.db->Get({}, database.blocks(), key_of(height), &bytes);
  if (got.IsNotFound()) return corruption(name + " is missing in " + database.folder.string());
  if (!got.ok()) return rocksdb_error(got, "read " + name + " in", database.folder);
  auto block = decode_certified_block(as_bytes(bytes));
  if (!block.ok()) return block.error().with_context(name + " in " + database.folder.string());
  if (block->block.header.height != height)
    return corruption(name + " in " + database.folder.string() + " has another height");
  return block;
}

Height RocksDbStore::head() const { return database_->head.height; }

}  // namespace fedmesh::ledger
