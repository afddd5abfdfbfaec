/* tree.h - the reference "ordered map": a red-black tree with parent links and a cached first node, one malloc a node, as the
 * usual std::map is built (Cormen, Leiserson, Rivest, Stein, chapter 13). Keys are unique; the smallest is the best. */
#ifndef WB_BENCH_REFERENCE_TREE_H
#define WB_BENCH_REFERENCE_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>

typedef struct tree_node {
  struct tree_node *child[2], *parent;
  uint64_t key, size;
  bool red;
} tree_node;

typedef struct tree {
  tree_node *root, *first;
} tree;

static inline void tree_link(tree *t, tree_node *parent, const tree_node *old, tree_node *node) {
  if (!parent) t->root = node;
  else parent->child[parent->child[1] == old] = node;
  if (node) node->parent = parent;
}

static inline void tree_rotate(tree *t, tree_node *node, unsigned side) {
  tree_node *up = node->child[!side];
  node->child[!side] = up->child[side];
  if (up->child[side]) up->child[side]->parent = node;
  tree_link(t, node->parent, node, up);
  up->child[side] = node;
  node->parent = up;
}

static inline void tree_put(tree *t, uint64_t key, uint64_t size) {
  tree_node *parent = NULL, **slot = &t->root;
  while (*slot) {
    parent = *slot;
    if (parent->key == key) {
      parent->size = size;
      return;
    }
    slot = &parent->child[parent->key < key];
  }
  tree_node *node = malloc(sizeof *node);
  if (!node) abort();
  *node = (tree_node){{NULL, NULL}, parent, key, size, true};
  *slot = node;
  if (!t->first || key < t->first->key) t->first = node;
  while (node->parent && node->parent->red) {
    tree_node *up = node->parent, *grand = up->parent;
    unsigned side = up == grand->child[1];
    tree_node *uncle = grand->child[!side];
    if (uncle && uncle->red) {
      up->red = uncle->red = false;
      grand->red = true;
      node = grand;
      continue;
    }
    if (node == up->child[!side]) {
      tree_rotate(t, up, side);
      up = node;
    }
    up->red = false;
    grand->red = true;
    tree_rotate(t, grand, !side);
    break;
  }
  t->root->red = false;
}

static inline bool tree_black(const tree_node *node) { return !node || !node->red; }

static inline void tree_remove(tree *t, uint64_t key) {
  tree_node *node = t->root;
  while (node && node->key != key) node = node->child[node->key < key];
  if (!node) return;
  if (node == t->first) {
    tree_node *next = node->child[1];
    if (!next) next = node->parent;
    while (node->child[1] && next->child[0]) next = next->child[0];
    t->first = next;
  }
  tree_node *fix, *above;
  bool red = node->red;
  if (node->child[0] && node->child[1]) {
    tree_node *heir = node->child[1];
    while (heir->child[0]) heir = heir->child[0];
    fix = heir->child[1];
    above = heir->parent == node ? heir : heir->parent;
    red = heir->red;
    if (heir->parent != node) {
      tree_link(t, heir->parent, heir, fix);
      heir->child[1] = node->child[1];
      heir->child[1]->parent = heir;
    }
    tree_link(t, node->parent, node, heir);
    heir->child[0] = node->child[0];
    heir->child[0]->parent = heir;
    heir->red = node->red;
  } else {
    fix = node->child[node->child[0] == NULL];
    above = node->parent;
    tree_link(t, above, node, fix);
  }
  free(node);
  if (red) return;
  while (above && tree_black(fix)) {
    unsigned side = above->child[1] == fix;
    tree_node *other = above->child[!side];
    if (other->red) {
      other->red = false;
      above->red = true;
      tree_rotate(t, above, side);
      other = above->child[!side];
    }
    if (tree_black(other->child[0]) && tree_black(other->child[1])) {
      other->red = true;
      fix = above;
      above = above->parent;
      continue;
    }
    if (tree_black(other->child[!side])) {
      other->child[side]->red = false;
      other->red = true;
      tree_rotate(t, other, !side);
      other = above->child[!side];
    }
    other->red = above->red;
    above->red = false;
    other->child[!side]->red = false;
    tree_rotate(t, above, side);
    fix = t->root;
    break;
  }
  if (fix) fix->red = false;
}

static inline const tree_node *tree_next(const tree_node *node) {
  if (node->child[1]) {
    node = node->child[1];
    while (node->child[0]) node = node->child[0];
    return node;
  }
  while (node->parent && node == node->parent->child[1]) node = node->parent;
  return node->parent;
}

static inline void tree_clear(tree *t) {
  tree_node *node = t->root;
  while (node) {
    tree_node *below = node->child[0] ? node->child[0] : node->child[1], *up = node->parent;
    if (below) {
      node = below;
      continue;
    }
    if (up) up->child[up->child[1] == node] = NULL;
    free(node);
    node = up;
  }
  t->root = t->first = NULL;
}

#endif
