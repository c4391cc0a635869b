// The coordinator's care for blobs: what submitters offer, what live jobs need, what is missing.
#include <algorithm>

#include "base/crash_point.h"
#include "coordinator/coordinator.h"
#include "coordinator/rounds/state_access.h"
#include "models/data/safetensors.h"

namespace fedmesh::coordinator {

// The blob is fetched from its submitter over the bulk plane; the answer comes when it is here.
void Coordinator::handle(Instant, const NodeId& peer, const protocol::BlobOffer& offer) {
  const auto refuse = [&](std::string why) {
    send(peer, protocol::BlobOfferAnswer{offer.root, false, std::move(why)});
  };
  if (!rounds::has_role(chain_->state(), peer, protocol::kRoleSubmitter))
    return refuse("only a node with the role submitter may store blobs");
  if (offer.bytes == 0 || offer.bytes > protocol::kMaxEvaluationBytes)
    return refuse("a blob has 1 byte to 64 MiB");
  if (blobs_.holds(offer.root) && blobs_.flush(offer.root).ok())
    return send(peer, protocol::BlobOfferAnswer{offer.root, true, ""});
  if (!offers_.contains(offer.root) && offers_.size() >= kOffersMax)
    return refuse("8 blobs are on their way already; try again later");
  offers_[offer.root].insert(peer);
  effects_.push_back(FetchBlob{offer.root, offer.bytes, peer, net::Flush::yes});
}

// A blob whose submitters are all gone would keep its place for ever.
void Coordinator::forget_offers(const NodeId& peer) {
  const auto wanted = aggregator_->pins();
  for (auto at = offers_.begin(); at != offers_.end();) {
    at->second.erase(peer);
    if (!at->second.empty()) {
      ++at;
      continue;
    }
    if (!wanted.contains(at->first)) effects_.push_back(ForgetBlob{at->first});
    at = offers_.erase(at);
  }
}

void Coordinator::blob_arrived(Instant now, const Digest& root) {
  crash_point("coordinator.blob-arrived");
  if (offers_.contains(root)) {  // a round may have fetched it, without a flush
    const auto kept = blobs_.flush(root);
    answer_offer(root, kept.ok() ? "" : kept.error().to_string());
  }
  take(now, aggregator_->arrived(now, *chain_, root));
}

void Coordinator::blob_failed(Instant now, const Digest& root, const Error& reason) {
  answer_offer(root, reason.to_string());
  take(now, aggregator_->fetch_failed(now, *chain_, root, reason));
}

void Coordinator::answer_offer(const Digest& root, const std::string& error) {
  const auto at = offers_.find(root);
  if (at == offers_.end()) return;
  for (const NodeId& peer : at->second)
    send(peer, protocol::BlobOfferAnswer{root, error.empty(), error});
  offers_.erase(at);
}

// A worker may reveal whatever root it likes, that of a model or of another's update included.
bool Coordinator::is_needed(const Digest& root) const {
  if (aggregator_->pins().contains(root) || job_blobs().contains(root)) return true;
  for (const auto& [key, value] : chain_->state().prefix(protocol::kJobPrefix)) {
    const auto job = rounds::require<protocol::JobState>(chain_->state(), key);
    if (job.base_root == root || job.model_root == root || job.standardisation_root == root)
      return true;
  }
  return false;
}

// What live jobs go on from.
std::set<Digest> Coordinator::job_blobs() const {
  std::set<Digest> roots;
  for (const JobId& id : rounds::live_jobs(chain_->state())) {
    const auto job = rounds::require<protocol::JobState>(chain_->state(), protocol::job_key(id));
    const auto spec = rounds::require<protocol::JobSpec>(chain_->state(), protocol::spec_key(id));
    roots.insert(
        {job.base_root, job.model_root, job.standardisation_root, spec.evaluation.blob_root});
  }
  return roots;
}

// It stays, whatever else is stored. What was needed before a block that is not durable yet may be
// needed again.
void Coordinator::pin_blobs() {
  std::set<Digest> roots = aggregator_->pins();
  roots.merge(job_blobs());
  if (chain_->height() != settled_) roots.insert(pinned_.begin(), pinned_.end());
  if (roots.empty()) blobs_.drop_spares();  // no job is live
  pinned_ = roots;
  blobs_.pin("rounds", std::move(roots));
}

void Coordinator::provide_initial_models() {
  const auto live = rounds::live_jobs(chain_->state());
  std::erase_if(provided_,
                [&](const JobId& id) { return !std::binary_search(live.begin(), live.end(), id); });
  for (const JobId& id : live) {
    if (!provided_.insert(id).second) continue;
    const auto job = rounds::require<protocol::JobState>(chain_->state(), protocol::job_key(id));
    if (job.rounds_done > 0 || blobs_.holds(job.base_root)) continue;
    const auto spec = rounds::require<protocol::JobSpec>(chain_->state(), protocol::spec_key(id));
    // Without room the aggregator does not accept the job's rounds, and says so.
    const auto kept = blobs_.put(models::encode_safetensors(
        models::initial_parameters(spec.architecture, spec.initial_seed)));
    if (!kept.ok()) provided_.erase(id);
  }
}

// Rounds would go on without scores, and nobody would know why.
void Coordinator::miss_evaluation_sets(Instant now) {
  const auto live = rounds::live_jobs(chain_->state());
  std::erase_if(missed_,
                [&](const JobId& id) { return !std::binary_search(live.begin(), live.end(), id); });
  for (const JobId& id : live) {
    const auto job = rounds::require<protocol::JobState>(chain_->state(), protocol::job_key(id));
    if (job.phase != protocol::JobPhase::running) continue;
    const auto spec = rounds::require<protocol::JobSpec>(chain_->state(), protocol::spec_key(id));
    const auto& set = spec.evaluation;
    if (!set.enabled || blobs_.holds(set.blob_root) || !missed_.insert(id).second) continue;
    log(now, "aggregate.evaluation_set_missing",
        "the evaluation set " + set.blob_root.short_hex() + " of job " + id.short_hex() +
            " is not in the blob store (any more): its rounds end without scores");
  }
}

}  // namespace fedmesh::coordinator
