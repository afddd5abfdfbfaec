#include <string.h>

#include "engine/codec/coinbase_advanced.h"
#include "engine/codec/coinbase_exchange.h"
#include "engine/codec/kraken.h"

static const wb_codec *const codecs[] = {&wb_codec_coinbase_exchange, &wb_codec_coinbase_advanced, &wb_codec_kraken};

const wb_codec *wb_codec_at(unsigned index) { return index < sizeof codecs / sizeof *codecs ? codecs[index] : NULL; }

const wb_codec *wb_codec_find(const char *name) {
  for (unsigned i = 0; i < sizeof codecs / sizeof *codecs; i++)
    if (strcmp(codecs[i]->name, name) == 0) return codecs[i];
  return NULL;
}
