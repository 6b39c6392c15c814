"""The tree of a session's blocks."""

from mgdemo.actions import ActionTrack
from mgdemo.tree import START, BlockTree


def held(key, frames=12):
    return ActionTrack.hold("universal", [key], None, frames)


def test_frames_and_blocks_count_along_a_branch():
    tree = BlockTree()
    assert (tree.head, tree.blocks, tree.frames, tree.ends) == (START, 0, 0, [START])
    first, second = tree.add(held("W", 9)), tree.add(held("S"))
    assert (tree.blocks, tree.frames, tree.path(second)) == (2, 21, [first, second])
    tree.head = first
    third = tree.add(held("A"))
    assert (tree[third].parent, tree[third].block, tree[third].first_frame, tree.frames) == (first, 1, 9, 21)
    assert tree.path(third) == [first, third]
    assert tree.path(START) == [] and tree[START].first_frame == 0


def test_frames_of_all_branches_are_counted_once():
    tree = BlockTree()
    first, _ = tree.add(held("W", 9)), tree.add(held("S"))
    tree.head = first
    tree.add(held("A"))
    tree.put(tree.head, first, held("D"))  # made again
    assert (tree.all_frames, tree.frames) == (33, 21)


def test_branches_keep_their_numbers_as_they_grow_and_when_one_is_taken_up_again():
    tree = BlockTree()
    tree.add(held("W", 9))
    tree.add(held("W"))
    tree.head = START
    other = tree.add(held("S", 9))
    assert tree.ends == [2, other]
    tree.head = 2
    longer = tree.add(held("W"))
    assert tree.ends == [other, longer], "as on the page: by the number of the last node"


def test_a_block_made_again_is_the_same_node_under_other_actions():
    sender, receiver = BlockTree(), BlockTree()
    for key in "WS":
        node = sender.add(held(key, 12 if sender.blocks else 9))
        receiver.put(node, sender[node].parent, sender[node].actions)
    receiver.put(node, sender[node].parent, held("D"))
    assert (receiver.head, receiver.blocks, receiver.frames) == (node, 2, 21)
    assert receiver[node].actions == held("D") and list(receiver.nodes) == [START, 1, 2]
    receiver.head = START
    assert receiver.nodes.keys() == sender.nodes.keys() and node in receiver and 7 not in receiver
